// What a person sees who hands stock kubectl a manifest that is wrong.
#include "base/subprocess.h"
#include "tests/contract/bad_input/unharmed.h"

namespace lab::apiserver {
namespace {

class BadManifest : public BadInput {
 protected:
  // kubectl sends no token over a connection that is not encrypted: everybody may do everything here.
  BadManifest() {
    options_.anonymous_auth = true;
    start_server();
  }
  Finished kubectl(std::vector<std::string> arguments, std::string manifest) {
    Command command{.argv = {"kubectl", "--server", "http://127.0.0.1:" + std::to_string(server_->port()),
                             "--cache-dir", directory_ + "/cache"},
                    .env = {{"HOME", directory_}, {"KUBECONFIG", "/dev/null"}},
                    .stdin_text = std::move(manifest),
                    .timeout = std::chrono::minutes(1)};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    auto ran = run(std::move(command));
    EXPECT_TRUE(ran) << (ran ? "" : ran.error().text());
    return ran.value_or(Finished{.exit_code = -1});
  }
  void expect_refused(std::vector<std::string> arguments, std::string manifest, const std::string& words) {
    auto said = kubectl(std::move(arguments), manifest);
    EXPECT_EQ(said.exit_code, 1) << manifest << "\n" << said.out << said.err;
    EXPECT_NE(said.err.find(words), std::string::npos) << words << "\n" << said.err;
  }
};

constexpr const char* kGood =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {a: b}\n";

TEST_F(BadManifest, IsRefusedWithAReason) {
  const auto before = stored();
  for (const char* verb : {"apply", "create"}) {
    expect_refused({verb, "-f", "-"}, "kind: [", "error parsing STDIN");
    expect_refused({verb, "-f", "-"}, "{\"kind\": \"ConfigMap\"", "error parsing STDIN");
    expect_refused({verb, "-f", "-"}, "metadata: {name: a}\n", "kind not set");
    expect_refused({verb, "-f", "-"}, "kind: ConfigMap\nmetadata: {name: a}\n", "apiVersion not set");
    expect_refused({verb, "-f", "-"}, "apiVersion: v1\nkind: Zebra\nmetadata: {name: a}\n",
                   "no matches for kind \"Zebra\" in version \"v1\"");
    expect_refused({verb, "-f", "-"}, "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", "name");
    expect_refused({verb, "-f", "-"}, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n",
                   "a lowercase RFC 1123 subdomain must consist of");
    expect_refused({verb, "-f", "-"},
                   "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, imag: busybox}]}\n",
                   "unknown field \"spec.containers[0].imag\"");
    expect_refused({verb, "-f", "-"}, "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n",
                   "spec.containers: Required value");
  }
  EXPECT_EQ(stored(), before);
}

TEST_F(BadManifest, UnknownFieldsFollowValidate) {
  const std::string manifest = std::string(kGood) + "colour: red\n";
  const auto before = stored();
  expect_refused({"create", "--validate=strict", "-f", "-"}, manifest,
                 "strict decoding error: unknown field \"colour\"");
  EXPECT_EQ(stored(), before);
  auto warned = kubectl({"create", "--validate=warn", "-f", "-"}, manifest);
  EXPECT_EQ(warned.exit_code, 0) << warned.err;
  EXPECT_NE(warned.err.find("Warning: unknown field \"colour\""), std::string::npos) << warned.err;
  auto ignored = kubectl({"replace", "--validate=ignore", "-f", "-"}, manifest);
  EXPECT_EQ(ignored.exit_code, 0) << ignored.err;
  EXPECT_EQ(ignored.err, "");
  EXPECT_FALSE(json::has(get(kConfigMaps + "/a").body, "colour"));
}

TEST_F(BadManifest, OneWrongDocumentDoesNotStopTheOthers) {
  auto said =
      kubectl({"apply", "-f", "-"}, std::string(kGood) + "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
  EXPECT_EQ(said.exit_code, 1) << said.err;
  EXPECT_NE(said.out.find("configmap/a created"), std::string::npos) << said.out;
  EXPECT_NE(said.err.find("Required value"), std::string::npos) << said.err;
  EXPECT_EQ(get(kConfigMaps + "/a").status, 200);
  EXPECT_EQ(get(kPods + "/p").status, 404);
}

}  // namespace
}  // namespace lab::apiserver
