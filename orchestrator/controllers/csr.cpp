#include "orchestrator/controllers/csr.h"

#include <algorithm>
#include <set>

#include "base/crypto/encoding.h"
#include "orchestrator/api/time.h"
#include "orchestrator/controllers/objects.h"
#include "pki/csr.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;
using std::chrono::hours;
using std::chrono::seconds;

namespace {

constexpr std::string_view kNodePrefix = "system:node:";

bool decided(const json::Value& csr) {
  return condition_is(csr, "Approved") || condition_is(csr, "Denied") || condition_is(csr, "Failed");
}

bool in_group(const json::Value& csr, std::string_view group) {
  for (const auto& g : json::list(csr, "spec", "groups"))
    if (json::as_str(g) == group) return true;
  return false;
}

std::set<std::string> usages_of(const json::Value& spec) {
  std::set<std::string> out;
  for (const auto& u : json::list(spec, "usages")) out.emplace(json::as_str(u));
  return out;
}

Result<std::pair<std::string, CsrNames>> request_of(const json::Value& csr) {
  LAB_TRY(std::string pem, crypto::base64_decode(json::str(csr, "spec", "request")));
  LAB_TRY(auto info, pki::inspect_csr(pem));
  CsrNames names{info.common_name, info.organizations, info.dns_names, info.addresses};
  return std::pair{std::move(pem), std::move(names)};
}

// Kubelets ask for "digital signature" and their purpose; RSA keys also for "key encipherment".
bool usages_are(const json::Value& spec, const char* purpose) {
  auto usages = usages_of(spec);
  usages.erase("key encipherment");
  return usages == std::set<std::string>{"digital signature", purpose};
}

}  // namespace

std::string refusal(const std::string& signer, const json::Value& spec, const CsrNames& names) {
  bool node_subject = names.common_name.starts_with(kNodePrefix) && names.common_name.size() > kNodePrefix.size() &&
                      names.organizations == std::vector<std::string>{"system:nodes"};
  bool has_names = !names.dns_names.empty() || !names.addresses.empty();
  if (signer == kClientKubeletSigner) {
    if (!node_subject) return "the subject must be CN=system:node:NAME, O=system:nodes";
    if (has_names) return "subject alternative names are not allowed";
    if (!usages_are(spec, "client auth")) return "usages must be digital signature, client auth (and key encipherment)";
  } else if (signer == kServingSigner) {
    if (!node_subject) return "the subject must be CN=system:node:NAME, O=system:nodes";
    if (!has_names) return "a DNS name or an address is required";
    if (!usages_are(spec, "server auth")) return "usages must be digital signature, server auth (and key encipherment)";
    if (json::str(spec, "username") != names.common_name) return "a node may only ask for its own certificate";
  } else if (signer == kClientSigner) {
    if (!usages_of(spec).contains("client auth")) return "usages must contain client auth";
    if (std::find(names.organizations.begin(), names.organizations.end(), "system:masters") !=
        names.organizations.end())
      return "organization system:masters is not allowed";
  }
  return {};
}

CsrApprover::CsrApprover(Context& context)
    : QueueController(context, "csr-approver", 2),
      csrs_(own(res::certificatesigningrequests)),
      nodes_(use(res::nodes)) {
  // A serving certificate waits for its node's addresses.
  nodes_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (!now || (old && json::at(*old, "status", "addresses") == json::at(*now, "status", "addresses"))) return;
    for (const auto& csr : csrs_.list())
      if (!decided(*csr) && json::str(*csr, "spec", "signerName") == kServingSigner) queue_.add(name_of(*csr));
  });
}

// Every name and address that is asked for must be one of the node's.
static bool names_belong_to(const CsrNames& names, const json::Value& node) {
  std::set<std::string> own{name_of(node)};
  for (const auto& address : json::list(node, "status", "addresses")) own.emplace(json::str(address, "address"));
  auto known = [&](const std::string& n) { return own.contains(n); };
  return std::all_of(names.dns_names.begin(), names.dns_names.end(), known) &&
         std::all_of(names.addresses.begin(), names.addresses.end(), known);
}

Task<Result<void>> CsrApprover::reconcile(std::string name) {
  ObjectPtr csr = csrs_.get(name);
  if (!csr || decided(*csr) || !json::str(*csr, "status", "certificate").empty()) co_return Result<void>();
  std::string signer(json::str(*csr, "spec", "signerName"));
  if (signer != kClientKubeletSigner && signer != kServingSigner) co_return Result<void>();
  auto request = request_of(*csr);
  // What kubelets do not ask for in this form is left to people.
  if (!request || !refusal(signer, json::at(*csr, "spec"), request->second).empty()) co_return Result<void>();
  const auto& names = request->second;
  if (signer == kServingSigner) {
    auto node = nodes_.get(names.common_name.substr(kNodePrefix.size()));
    if (in_group(*csr, "system:nodes") && node && names_belong_to(names, *node))
      co_return co_await approve(csr, "Auto approving kubelet serving certificate: all names belong to the node.");
    co_return Result<void>();
  }
  bool self = json::str(*csr, "spec", "username") == names.common_name;
  bool known = self ? in_group(*csr, "system:nodes") : in_group(*csr, "system:bootstrappers");
  if (!known) {
    LAB_CO_TRY(known, co_await may(csr, self ? "selfnodeclient" : "nodeclient"));
  }
  if (!known) co_return Result<void>();
  co_return co_await approve(csr, self ? "Auto approving self kubelet client certificate after SubjectAccessReview."
                                       : "Auto approving kubelet client certificate after SubjectAccessReview.");
}

Task<Result<bool>> CsrApprover::may(ObjectPtr csr, std::string subresource) {
  json::Value review = json::Object{{"apiVersion", "authorization.k8s.io/v1"}, {"kind", "SubjectAccessReview"}};
  json::set(review, json::str(*csr, "spec", "username"), "spec", "user");
  json::set(review, json::list(*csr, "spec", "groups"), "spec", "groups");
  json::set(review,
            json::Object{{"group", "certificates.k8s.io"},
                         {"resource", "certificatesigningrequests"},
                         {"subresource", subresource},
                         {"verb", "create"},
                         {"version", "*"}},
            "spec", "resourceAttributes");
  LAB_CO_TRY(auto answer, co_await context_.client.create(res::subjectaccessreviews, "", std::move(review)));
  co_return json::flag(answer, "status", "allowed");
}

Task<Result<void>> CsrApprover::approve(ObjectPtr csr, std::string message) {
  json::Value next = *csr;
  auto condition = make_condition("Approved", "True", "AutoApproved", message, context_.now());
  json::set(condition, api::format_time(context_.now()), "lastUpdateTime");
  json::Array conditions = json::list(next, "status", "conditions");
  conditions.push_back(std::move(condition));
  json::set(next, std::move(conditions), "status", "conditions");
  LAB_CO_TRY(auto written, co_await context_.client.update_sub(res::certificatesigningrequests, "", name_of(*csr),
                                                               "approval", std::move(next)));
  csrs_.observe(std::move(written));
  co_return Result<void>();
}

CsrSigner::CsrSigner(Context& context, SignCertificate sign, seconds longest)
    : QueueController(context, "csr-signer", 2),
      csrs_(own(res::certificatesigningrequests)),
      sign_(std::move(sign)),
      longest_(longest) {}

Task<Result<void>> CsrSigner::reconcile(std::string name) {
  ObjectPtr csr = csrs_.get(name);
  if (!csr || !condition_is(*csr, "Approved") || condition_is(*csr, "Denied") || condition_is(*csr, "Failed") ||
      !json::str(*csr, "status", "certificate").empty())
    co_return Result<void>();
  std::string signer(json::str(*csr, "spec", "signerName"));
  if (signer != kClientKubeletSigner && signer != kServingSigner && signer != kClientSigner && signer != kLegacySigner)
    co_return Result<void>();
  auto request = request_of(*csr);
  std::string why = request ? refusal(signer, json::at(*csr, "spec"), request->second) : request.error().text();
  json::Value next = *csr;
  if (why.empty()) {
    seconds validity = longest_;
    if (auto asked = json::num(*csr, "spec", "expirationSeconds"); asked > 0)
      validity = std::min(longest_, std::max(seconds(asked), seconds(600)));
    LAB_CO_TRY(std::string chain, sign_(request->first, signer, validity));
    json::set(next, crypto::base64_encode(chain), "status", "certificate");
  } else {
    auto condition = make_condition("Failed", "True", "SignerValidationFailure", why, context_.now());
    json::set(condition, api::format_time(context_.now()), "lastUpdateTime");
    json::Array conditions = json::list(next, "status", "conditions");
    conditions.push_back(std::move(condition));
    json::set(next, std::move(conditions), "status", "conditions");
  }
  auto written = co_await write_status(context_, csrs_, res::certificatesigningrequests, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

CsrCleaner::CsrCleaner(Context& context)
    : QueueController(context, "csr-cleaner", 1), csrs_(own(res::certificatesigningrequests)) {}

Task<Result<void>> CsrCleaner::reconcile(std::string name) {
  ObjectPtr csr = csrs_.get(name);
  if (!csr) co_return Result<void>();
  WallTime due = created_at(*csr) + hours(24);
  for (const auto& c : json::list(*csr, "status", "conditions"))
    if (auto since = time_at(json::at(c, "lastUpdateTime"))) due = std::min(due, *since + hours(1));
  // Approved but unsigned: the signer may be somebody else's and slow.
  if (condition_is(*csr, "Approved") && json::str(*csr, "status", "certificate").empty())
    due = created_at(*csr) + hours(24);
  WallTime now = context_.now();
  if (now < due) {
    queue_.add_after(name, due - now + seconds(1));
    co_return Result<void>();
  }
  co_return co_await delete_observed(context_, csrs_, res::certificatesigningrequests, csr);
}

}  // namespace lab::controllers
