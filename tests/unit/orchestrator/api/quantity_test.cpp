#include "orchestrator/api/quantity.h"

#include <gtest/gtest.h>

#include <limits>

namespace lab::api {
namespace {

std::string canonical(std::string_view text) {
  auto q = Quantity::parse(text);
  return q ? q->canonical() : "error: " + q.error().message;
}

TEST(Quantity, CanonicalForms) {
  struct Row {
    const char *in, *out;
  };
  // Each row is what `kubectl get -o yaml` shows for what was applied.
  for (auto [in, out] : {Row{"0", "0"},       Row{"0Gi", "0"},           Row{"1", "1"},           Row{"100m", "100m"},
                         Row{"1000m", "1"},   Row{"1500m", "1500m"},     Row{"0.5", "500m"},      Row{"1.5", "1500m"},
                         Row{"2000", "2k"},   Row{"1500", "1500"},       Row{"1e3", "1e3"},       Row{"1E3", "1e3"},
                         Row{"12e6", "12e6"}, Row{"1E", "1E"},           Row{"1024", "1024"},     Row{"1024Ki", "1Mi"},
                         Row{"1Gi", "1Gi"},   Row{"1.5Gi", "1536Mi"},    Row{"0.5Gi", "512Mi"},   Row{"0.5Ki", "512"},
                         Row{"1Ki", "1Ki"},   Row{"500Mi", "500Mi"},     Row{"1000Ki", "1000Ki"}, Row{"100k", "100k"},
                         Row{"-1", "-1"},     Row{"-1.5Gi", "-1536Mi"},  Row{"+2", "2"},          Row{"1n", "1n"},
                         Row{"1u", "1u"},     Row{"0.1n", "1n"},         Row{"1.0001n", "2n"},    Row{".5", "500m"},
                         Row{"5.", "5"},      Row{"1e-3", "1e-3"},       Row{"100e-3", "100e-3"}, Row{"3M", "3M"},
                         Row{"3000k", "3M"},  Row{"1048576", "1048576"}, Row{"1P", "1P"},         Row{"4Ei", "4Ei"}})
    EXPECT_EQ(canonical(in), out) << in;
}

TEST(Quantity, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "m", "1x", "1.2.3", "--1", "1 ", " 1", "1mm", "1KiB", "1e", "1e2.5", "0x10", "1 Gi", "1ki"}) {
    auto q = Quantity::parse(bad);
    EXPECT_FALSE(q) << bad << " became " << (q ? q->canonical() : "");
  }
  EXPECT_NE(canonical("abc").find("quantities must match the regular expression"), std::string::npos);
}

TEST(Quantity, ArithmeticAndOrder) {
  auto q = [](const char* t) { return *Quantity::parse(t); };
  EXPECT_EQ((q("100m") + q("1")).canonical(), "1100m");
  EXPECT_EQ((q("1Gi") - q("512Mi")).canonical(), "512Mi");
  EXPECT_EQ((Quantity() + q("1Gi")).canonical(), "1Gi");
  EXPECT_EQ(q("1Ki"), q("1024"));
  EXPECT_LT(q("1G"), q("1Gi"));
  EXPECT_EQ(q("1500m").value(), 2);
  EXPECT_EQ(q("-1500m").value(), -2);
  EXPECT_EQ(q("1n").milli(), 1);
  EXPECT_EQ(q("2").milli(), 2000);
  EXPECT_EQ(Quantity::from_milli(2500).canonical(), "2500m");
  EXPECT_EQ(Quantity::from_milli(std::int64_t(1) << 20 << 10, true).value() > 0, true);
}

TEST(Quantity, LargeNumbersStopAtTheLimit) {
  EXPECT_EQ(Quantity::parse("9223372036854775807")->value(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Quantity::parse("99999999999999999999999999999999999")->value(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Quantity::parse("1e900")->value(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Quantity::parse("100Ei")->milli(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Quantity::parse("0.000000000000000000000000000001")->canonical(), "1n");
}

}  // namespace
}  // namespace lab::api
