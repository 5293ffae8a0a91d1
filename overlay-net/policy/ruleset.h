// Ruleset: what the kernel of one node shall hold, kept current as policies, pods and namespaces change.
//
//   rules.set_pod(pod);                     // as often as there is news
//   auto change = rules.take_change();      // one transaction that brings the kernel from the last one here
//
// News of pods and namespaces changes elements of those pods alone; news of a policy compares the whole program. Pods
// of this node whose address is known before their object (`wire`) are isolated as far as any policy of their namespace
// isolates, until their labels are known. One thread; no input, no output.
#pragma once

#include "overlay-net/policy/program.h"

namespace lab::overlay::policy {

struct Change {
  std::string script;        // empty: nothing to do
  std::size_t elements = 0;  // added and removed
  bool chains = false;       // touches more than elements
};

class Ruleset {
 public:
  explicit Ruleset(std::string node_name) : node_(std::move(node_name)) {}

  void set_policy(Policy policy);
  void remove_policy(const std::string& key);
  void set_namespace(const std::string& name, json::Object labels);
  void remove_namespace(const std::string& name);
  void set_pod(Pod pod);  // as the API server tells it
  void remove_pod(const std::string& key);
  // This node gave the address to a pod, or took it back.
  void wire(const std::string& ns, const std::string& name, IpAddress address);
  void unwire(const IpAddress& address);

  Change take_change();
  // The same from what the kernel holds now, whatever that is; the base of the table included.
  std::string converge_script(const Program& kernel, const ProgramOptions& options);
  const Model& model() const { return model_; }
  const Program& program() const { return program_; }  // as of the last change
  std::size_t isolated_pods() const;                   // of this node

 private:
  struct Wired {
    std::string ns, name;
  };

  void refresh(const std::string& key);
  void touch(const std::string& key);
  std::vector<Element> elements_of(const Pod& pod) const;
  void isolate(const Pod& pod, const IpAddress& address, std::vector<Element>& out) const;
  Program render();

  std::string node_;
  Model model_;
  std::map<std::string, Pod> told_;   // pods as the API server tells them
  std::map<IpAddress, Wired> wired_;  // addresses this node gave
  std::map<std::string, std::set<IpAddress>> wired_to_;
  std::set<std::string> touched_;  // pods whose elements may differ
  bool policies_changed_ = false;
  std::map<std::string, Peer> groups_;  // set name -> whom it holds
  Program program_;
  std::map<std::string, std::vector<Element>> given_;  // elements of program_, by pod
};

}  // namespace lab::overlay::policy
