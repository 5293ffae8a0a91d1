// Printers of volumes, claims and storage.k8s.io.
#include "orchestrator/api/printers.h"

namespace lab::api::printers {
namespace {

using json::Array;
using json::Value;

std::string class_of(const Value& o) {
  std::string_view annotated = json::str(o, "metadata", "annotations", "volume.beta.kubernetes.io/storage-class");
  return std::string(annotated.empty() ? json::str(o, "spec", "storageClassName") : annotated);
}

Array pv_cells(const Value& v, WallTime now) {
  std::string claim;
  if (const Value& ref = json::at(v, "spec", "claimRef"); ref.is_object())
    claim = std::string(json::str(ref, "namespace")) + "/" + std::string(json::str(ref, "name"));
  std::string_view phase = json::str(v, "status", "phase");
  Array cells;
  cells.emplace_back(json::str(v, "spec", "capacity", "storage"));
  cells.emplace_back(access_modes(json::list(v, "spec", "accessModes")));
  cells.emplace_back(json::str(v, "spec", "persistentVolumeReclaimPolicy"));
  cells.emplace_back(json::has(v, "metadata", "deletionTimestamp") ? "Terminating" : std::string(phase));
  cells.emplace_back(claim);
  cells.emplace_back(class_of(v));
  cells.emplace_back(or_none(json::str(v, "spec", "volumeAttributesClassName"), "<unset>"));
  cells.emplace_back(json::str(v, "status", "reason"));
  cells.emplace_back(age(v, now));
  cells.emplace_back(or_none(json::str(v, "spec", "volumeMode"), "<unset>"));
  return cells;
}

Array pvc_cells(const Value& c, WallTime now) {
  std::string_view volume = json::str(c, "spec", "volumeName");
  Array cells;
  cells.emplace_back(json::has(c, "metadata", "deletionTimestamp") ? "Terminating"
                                                                   : std::string(json::str(c, "status", "phase")));
  cells.emplace_back(volume);
  cells.emplace_back(volume.empty() ? std::string_view() : json::str(c, "status", "capacity", "storage"));
  cells.emplace_back(volume.empty() ? "" : access_modes(json::list(c, "status", "accessModes")));
  cells.emplace_back(class_of(c));
  cells.emplace_back(or_none(json::str(c, "spec", "volumeAttributesClassName"), "<unset>"));
  cells.emplace_back(age(c, now));
  cells.emplace_back(or_none(json::str(c, "spec", "volumeMode"), "<unset>"));
  return cells;
}

Array storageclass_cells(const Value& s, WallTime now) {
  std::string name(json::str(s, "metadata", "name"));
  if (json::str(s, "metadata", "annotations", "storageclass.kubernetes.io/is-default-class") == "true")
    name += " (default)";
  Array cells;
  cells.emplace_back(name);
  cells.emplace_back(json::str(s, "provisioner"));
  cells.emplace_back(or_none(json::str(s, "reclaimPolicy"), "Delete"));
  cells.emplace_back(or_none(json::str(s, "volumeBindingMode"), "Immediate"));
  cells.emplace_back(json::flag(s, "allowVolumeExpansion"));
  cells.emplace_back(age(s, now));
  return cells;
}

Array csidriver_cells(const Value& d, WallTime now) {
  std::vector<std::string> modes, audiences;
  for (const auto& m : json::list(d, "spec", "volumeLifecycleModes")) modes.emplace_back(json::as_str(m));
  for (const auto& t : json::list(d, "spec", "tokenRequests")) audiences.emplace_back(json::str(t, "audience"));
  Array cells;
  cells.emplace_back(!json::has(d, "spec", "attachRequired") || json::flag(d, "spec", "attachRequired"));
  cells.emplace_back(json::flag(d, "spec", "podInfoOnMount"));
  cells.emplace_back(json::flag(d, "spec", "storageCapacity"));
  cells.emplace_back(or_none(join(audiences), "<unset>"));
  cells.emplace_back(json::flag(d, "spec", "requiresRepublish"));
  cells.emplace_back(or_none(join(modes)));
  cells.emplace_back(age(d, now));
  return cells;
}

Array csinode_cells(const Value& n, WallTime now) {
  return Array{Value(json::list(n, "spec", "drivers").size()), Value(age(n, now))};
}

Array csicapacity_cells(const Value& c, WallTime) {
  return Array{Value(json::str(c, "storageClassName")), Value(json::str(c, "capacity"))};
}

Array attachment_cells(const Value& a, WallTime now) {
  Array cells;
  cells.emplace_back(json::str(a, "spec", "attacher"));
  cells.emplace_back(json::str(a, "spec", "source", "persistentVolumeName"));
  cells.emplace_back(json::str(a, "spec", "nodeName"));
  cells.emplace_back(json::flag(a, "status", "attached"));
  cells.emplace_back(age(a, now));
  return cells;
}

}  // namespace

std::vector<Printer> storage_printers() {
  constexpr std::string_view kGroup = "storage.k8s.io";
  return {
      {"",
       "PersistentVolume",
       {"Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass", "VolumeAttributesClass",
        "Reason", "Age", "VolumeMode:string*"},
       pv_cells},
      {"",
       "PersistentVolumeClaim",
       {"Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age",
        "VolumeMode:string*"},
       pvc_cells},
      {kGroup,
       "StorageClass",
       {"Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"},
       storageclass_cells},
      {kGroup,
       "CSIDriver",
       {"AttachRequired:boolean", "PodInfoOnMount:boolean", "StorageCapacity:boolean", "TokenRequests",
        "RequiresRepublish:boolean", "Modes", "Age"},
       csidriver_cells},
      {kGroup, "CSINode", {"Drivers:integer", "Age"}, csinode_cells},
      {kGroup, "CSIStorageCapacity", {"StorageClassName", "Capacity"}, csicapacity_cells},
      {kGroup, "VolumeAttachment", {"Attacher", "PV", "Node", "Attached:boolean", "Age"}, attachment_cells},
  };
}

}  // namespace lab::api::printers
