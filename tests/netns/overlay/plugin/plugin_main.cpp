// The CNI plugin as a binary of its own, as a runtime would call it.
#include "overlay-net/cni/plugin.h"

int main(int, char** argv) {
  return lab::overlay::cni_main(argv[0]);
}
