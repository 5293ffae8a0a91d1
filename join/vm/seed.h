// The seed of a new machine: a small disk labelled "cidata", as cloud-init's NoCloud source reads it
// (https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html), and beside cloud-init's files the
// same facts one a file, for the base image made here, which does without cloud-init (see image.h).
#pragma once

#include <string>
#include <vector>

#include "join/vm/iso9660.h"
#include "join/vm/ssh_key.h"

namespace lab::join::vm {

struct SeedFacts {
  std::string instance;  // a machine that sees another one than before takes itself for new
  std::string hostname;
  SshKey host_key;
  std::string authorized_key;  // a line; may log in as root
};

std::vector<IsoFile> seed_files(const SeedFacts& facts);
Result<std::string> seed_image(const SeedFacts& facts);

}  // namespace lab::join::vm
