// One function per command file; commands.cpp puts them together in the order of --help.
#pragma once

#include <vector>

#include "cli/command.h"

namespace lab::cli {

using Commands = std::vector<Command>;

Commands init_commands();        // init, join
Commands reset_commands();
Commands config_commands();      // config ...
Commands certs_commands();       // certs ...
Commands rotate_ca_commands();   // certs rotate-ca
Commands rotate_sa_key_commands();  // certs rotate-sa-key
Commands upgrade_commands();     // upgrade ...
Commands token_commands();       // token ...
Commands lab_commands();         // start, status, stop, delete
Commands life_commands();         // pause, unpause, snapshot ...
Commands vm_commands();          // vm ...
Commands node_commands();        // node ..., shell, ssh
Commands logs_commands();        // logs
Commands copy_commands();        // cp
Commands image_commands();       // image ...
Commands kubectl_commands();     // kubectl, kubeconfig
Commands app_commands();         // deploy
Commands compose_commands();     // compose ...
Commands exercise_commands();    // exercise ...
Commands play_commands();        // play
Commands class_commands();       // class ...
Commands net_commands();          // net status, report, test
Commands net_test_commands();
Commands net_ring_commands();    // net rmpeer
Commands net_policy_commands();  // net policy ...
Commands daemon_commands();      // all of the following
Commands store_commands();        // store ...
Commands server_commands();
Commands overlay_commands();
Commands agent_commands();
Commands internal_commands();    // supervise, services, node-run, node-exec
Commands terminal_commands();    // hidden: terminals, terminal-shell
Commands version_commands();
Commands completion_commands();
Commands manual_commands();      // hidden: for packaging

}  // namespace lab::cli
