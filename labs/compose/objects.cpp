#include "labs/compose/objects.h"

#include <algorithm>
#include <functional>

namespace lab::compose {

namespace {

json::Object labels_of(const Project& p, const Service& s) {
  return {{kProjectLabel, p.name}, {kServiceLabel, s.name}};
}

json::Object metadata(const Project& p, const Service& s, const std::string& name) {
  return {{"name", name}, {"namespace", p.name}, {"labels", labels_of(p, s)}};
}

json::Array strings(const std::vector<std::string>& words) {
  json::Array out;
  for (const auto& w : words) out.emplace_back(w);
  return out;
}

std::string volume_name(const Mount& m, std::size_t index) {
  return m.volume.empty() ? "own-" + std::to_string(index) : "volume-" + std::to_string(index);
}

json::Object container_of(const Service& s) {
  json::Object c{{"name", s.name}, {"image", s.image}, {"imagePullPolicy", "IfNotPresent"}};
  if (!s.entrypoint.empty()) c["command"] = strings(s.entrypoint);
  if (!s.command.empty()) c["args"] = strings(s.command);
  if (!s.working_dir.empty()) c["workingDir"] = s.working_dir;
  json::Array env, mounts;
  for (const auto& [name, value] : s.environment) env.push_back(json::Object{{"name", name}, {"value", value}});
  for (std::size_t i = 0; i < s.mounts.size(); ++i)
    mounts.push_back(json::Object{
        {"name", volume_name(s.mounts[i], i)}, {"mountPath", s.mounts[i].target}, {"readOnly", s.mounts[i].read_only}});
  if (!env.empty()) c["env"] = std::move(env);
  if (!mounts.empty()) c["volumeMounts"] = std::move(mounts);
  if (s.user) c["securityContext"] = json::Object{{"runAsUser", *s.user}};
  if (!s.health_test.empty())
    c["readinessProbe"] =
        json::Object{{"exec", json::Object{{"command", strings(s.health_test)}}}, {"periodSeconds", s.health_interval}};
  return c;
}

json::Object pod_of(const Project& p, const Service& s, const Cluster& cluster) {
  json::Object spec{{"containers", json::Array{container_of(s)}},
                    {"terminationGracePeriodSeconds", s.stop_grace_seconds},
                    {"enableServiceLinks", false}};
  json::Array volumes;
  bool pinned = false;
  for (std::size_t i = 0; i < s.mounts.size(); ++i) {
    const auto& m = s.mounts[i];
    json::Object volume{{"name", volume_name(m, i)}};
    if (m.volume.empty())
      volume["emptyDir"] = json::Object{};
    else
      volume["hostPath"] = json::Object{{"path", std::string(kVolumeDirectory) + "/" + p.name + "/" + m.volume},
                                        {"type", "DirectoryOrCreate"}};
    pinned = pinned || !m.volume.empty();
    volumes.push_back(std::move(volume));
  }
  if (!volumes.empty()) spec["volumes"] = std::move(volumes);
  if (pinned) spec["nodeSelector"] = json::Object{{"kubernetes.io/hostname", volume_node(p, cluster)}};
  if (is_job(s)) spec["restartPolicy"] = s.restart == "no" ? "Never" : "OnFailure";
  return spec;
}

json::Value workload(const Project& p, const Service& s, const Cluster& cluster) {
  json::Object pod{{"metadata", json::Object{{"labels", labels_of(p, s)}}}, {"spec", pod_of(p, s, cluster)}};
  if (is_job(s))
    return json::Object{
        {"apiVersion", "batch/v1"},
        {"kind", "Job"},
        {"metadata", metadata(p, s, s.name)},
        {"spec", json::Object{{"backoffLimit", s.restart == "no" ? 0 : 6}, {"template", std::move(pod)}}}};
  return json::Object{{"apiVersion", "apps/v1"},
                      {"kind", "Deployment"},
                      {"metadata", metadata(p, s, s.name)},
                      {"spec", json::Object{{"replicas", s.replicas},
                                            {"selector", json::Object{{"matchLabels", labels_of(p, s)}}},
                                            {"template", std::move(pod)}}}};
}

json::Value name_service(const Project& p, const Service& s) {
  return json::Object{{"apiVersion", "v1"},
                      {"kind", "Service"},
                      {"metadata", metadata(p, s, s.name)},
                      {"spec", json::Object{{"clusterIP", "None"}, {"selector", labels_of(p, s)}}}};
}

json::Value published_service(const Project& p, const Service& s, const Cluster& cluster) {
  json::Array ports;
  for (const auto& port : s.ports)
    if (port.published > 0)
      ports.push_back(json::Object{{"name", "p" + std::to_string(port.published) + port.protocol},
                                   {"port", port.published},
                                   {"targetPort", port.target},
                                   {"protocol", port.protocol == "udp" ? "UDP" : "TCP"}});
  return json::Object{{"apiVersion", "v1"},
                      {"kind", "Service"},
                      {"metadata", metadata(p, s, s.name + "-published")},
                      {"spec", json::Object{{"selector", labels_of(p, s)},
                                            {"externalIPs", strings(cluster.addresses)},
                                            {"ports", std::move(ports)}}}};
}

}  // namespace

bool is_job(const Service& service) {
  return service.restart != "always";
}

const std::string& volume_node(const Project& project, const Cluster& cluster) {
  return cluster.nodes[std::hash<std::string>{}(project.name) % cluster.nodes.size()];
}

json::Value namespace_of(const Project& project) {
  return json::Object{
      {"apiVersion", "v1"},
      {"kind", "Namespace"},
      {"metadata", json::Object{{"name", project.name}, {"labels", json::Object{{kProjectLabel, project.name}}}}}};
}

std::vector<json::Value> objects_of(const Project& project, const Service& service, const Cluster& cluster) {
  std::vector<json::Value> out{name_service(project, service)};
  if (std::ranges::any_of(service.ports, [](const Port& p) { return p.published > 0; }))
    out.push_back(published_service(project, service, cluster));
  out.push_back(workload(project, service, cluster));
  return out;
}

}  // namespace lab::compose
