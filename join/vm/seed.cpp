#include "join/vm/seed.h"

#include "base/json.h"
#include "base/yaml/yaml.h"

namespace lab::join::vm {

namespace {

std::string user_data(const SeedFacts& f) {
  const json::Value config = json::Object{{"hostname", f.hostname},
                                          {"preserve_hostname", false},
                                          {"disable_root", false},
                                          {"ssh_deletekeys", true},
                                          {"ssh_keys", json::Object{{"ed25519_private", f.host_key.private_text},
                                                                    {"ed25519_public", f.host_key.public_line}}},
                                          {"ssh_authorized_keys", json::Array{json::Value(f.authorized_key)}}};
  return "#cloud-config\n" + yaml::dump(config);
}

}  // namespace

std::vector<IsoFile> seed_files(const SeedFacts& f) {
  const json::Value meta = json::Object{{"instance-id", f.instance}, {"local-hostname", f.hostname}};
  return {{.name = "meta-data", .content = yaml::dump(meta)},
          {.name = "user-data", .content = user_data(f), .mode = 0400},
          {.name = "hostname", .content = f.hostname + "\n"},
          {.name = "ssh_host_ed25519_key", .content = f.host_key.private_text, .mode = 0400},
          {.name = "ssh_host_ed25519_key.pub", .content = f.host_key.public_line + "\n"},
          {.name = "authorized_keys", .content = f.authorized_key + "\n"}};
}

Result<std::string> seed_image(const SeedFacts& f) {
  return iso9660_image("cidata", seed_files(f));
}

}  // namespace lab::join::vm
