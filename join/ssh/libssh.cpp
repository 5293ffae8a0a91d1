// The one file that knows libssh. It is loaded by dlopen when the first session is opened: `lab` runs on every node,
// also as CNI plugin, and neither needs libssh there nor should pay for loading it and Kerberos' libraries.
#include <dlfcn.h>
#include <libssh/libssh.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <mutex>

#include "base/fs.h"
#include "join/ssh/host_key.h"
#include "join/ssh/session.h"

namespace lab::join::ssh {

namespace {

#define LAB_SSH_FUNCTIONS(X)                                                                                         \
  X(ssh_new)                                                                                                         \
  X(ssh_free)                                                                                                        \
  X(ssh_disconnect)                                                                                                  \
  X(ssh_connect) X(ssh_options_set) X(ssh_options_get) X(ssh_options_get_port) X(ssh_options_parse_config)           \
      X(ssh_get_error) X(ssh_get_fd) X(ssh_is_connected) X(ssh_session_is_known_server)                              \
          X(ssh_session_update_known_hosts) X(ssh_get_server_publickey) X(ssh_get_publickey_hash)                    \
              X(ssh_get_fingerprint_hash) X(ssh_clean_pubkey_hash) X(ssh_string_free_char) X(ssh_key_free)           \
                  X(ssh_key_type) X(ssh_key_type_to_char) X(ssh_pki_import_privkey_file) X(ssh_userauth_none)        \
                      X(ssh_userauth_list) X(ssh_userauth_publickey) X(ssh_userauth_agent)                           \
                          X(ssh_userauth_publickey_auto) X(ssh_userauth_password) X(ssh_userauth_kbdint)             \
                              X(ssh_userauth_kbdint_getnprompts) X(ssh_userauth_kbdint_setanswer) X(ssh_channel_new) \
                                  X(ssh_channel_free) X(ssh_channel_open_session) X(ssh_channel_request_exec)        \
                                      X(ssh_channel_write) X(ssh_channel_send_eof) X(ssh_channel_read_timeout)       \
                                          X(ssh_channel_is_eof) X(ssh_channel_is_closed)                             \
                                              X(ssh_channel_get_exit_status) X(ssh_channel_close)

struct Api {
#define LAB_SSH_MEMBER(name) decltype(&::name) name = nullptr;
  LAB_SSH_FUNCTIONS(LAB_SSH_MEMBER)
#undef LAB_SSH_MEMBER
};

Result<const Api*> load() {
  static const Result<Api> loaded = []() -> Result<Api> {
    void* library = ::dlopen("libssh.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library)
      return fail(Code::kUnavailable, std::string("libssh is not installed on this machine: ") + ::dlerror(),
                  "install it: apt-get install libssh-4");
    Api api;
#define LAB_SSH_LOAD(name)                                                  \
  api.name = reinterpret_cast<decltype(api.name)>(::dlsym(library, #name)); \
  if (!api.name)                                                            \
    return fail(Code::kUnavailable, "this libssh is too old: it has no " #name, "install libssh 0.9 or newer");
    LAB_SSH_FUNCTIONS(LAB_SSH_LOAD)
#undef LAB_SSH_LOAD
    return api;
  }();
  if (!loaded) return std::unexpected(loaded.error());
  return &*loaded;
}

// A peer that says nothing more is given up after about this long.
constexpr int kSilenceMs = 15000;
constexpr std::size_t kChunk = 256 << 10;
constexpr int kReadSliceMs = 1000;

class LibsshSession final : public Session {
 public:
  LibsshSession(const Api& api, Target target) : api_(api), target_(std::move(target)), session_(api.ssh_new()) {}
  ~LibsshSession() override {
    if (!session_) return;
    // A farewell is only worth its time where the peer hears it.
    if (api_.ssh_is_connected(session_)) api_.ssh_disconnect(session_);
    api_.ssh_free(session_);
  }

  Result<void> connect(const ConnectOptions& o) {
    LAB_CHECK(set_options(o));
    const auto begun = std::chrono::steady_clock::now();
    if (api_.ssh_connect(session_) != SSH_OK) {
      const std::string why = api_.ssh_get_error(session_);
      if (why.find("refused") != std::string::npos)
        return fail(Code::kUnavailable,
                    "no SSH server answers on port " + std::to_string(target_.port) + " (connection refused)",
                    "is the port right (USER@HOST:PORT), and does sshd run there? apt-get install openssh-server");
      if (why.find("resolve") != std::string::npos || why.find("hostname") != std::string::npos)
        return fail(Code::kUnavailable, "the name " + target_.host + " cannot be resolved",
                    "check its spelling, or give the address");
      const auto waited =
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun).count();
      return fail(Code::kUnavailable, "it cannot be reached (" + std::to_string(waited) + " s): " + why,
                  "is it switched on, in this network, and port " + std::to_string(target_.port) + " open? ping " +
                      target_.host);
    }
    watch_peer();
    return {};
  }

  Result<void> check_host_key(const ConnectOptions& o, const Person& person) {
    LAB_TRY(auto key, host_key());
    static std::mutex file_mutex;  // sessions of other threads read and write the same file
    std::unique_lock lock(file_mutex);
    LAB_TRY(auto known, look_up());
    lock.unlock();
    switch (judge_host_key(known, o.accept_new_host_keys, static_cast<bool>(person.confirm))) {
      case HostKeyVerdict::kAccept:
        return {};
      case HostKeyVerdict::kAsk:
        if (!person.confirm(host_key_question(target_, key))) break;
        [[fallthrough]];
      case HostKeyVerdict::kRemember: {
        lock.lock();
        if (api_.ssh_session_update_known_hosts(session_) != SSH_OK)
          return fail(Code::kIo,
                      "its host key could not be written to " + o.known_hosts + ": " + api_.ssh_get_error(session_));
        return {};
      }
      case HostKeyVerdict::kRefuse:
        break;
    }
    return std::unexpected(host_key_refusal(known, target_, key, o.known_hosts));
  }

  // Keys first, as ssh(1) does, then the password.
  Result<void> log_in(const ConnectOptions& o, const Person& person) {
    int rc = api_.ssh_userauth_none(session_, nullptr);
    if (rc == SSH_AUTH_SUCCESS) return {};
    if (rc == SSH_AUTH_ERROR) return lost("log in");
    const int offered = api_.ssh_userauth_list(session_, nullptr);
    std::string tried;
    if (offered & SSH_AUTH_METHOD_PUBLICKEY) {
      LAB_TRY(bool in, try_keys(o, person, tried));
      if (in) return {};
    }
    if (offered & (SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_INTERACTIVE)) {
      LAB_TRY(bool in, try_passwords(o, person, offered, tried));
      if (in) return {};
    }
    return denied(offered, tried);
  }

  Result<Executed> execute(const std::string& command, const Execution& e) override {
    Channel channel{api_, api_.ssh_channel_new(session_)};
    if (!channel.raw || api_.ssh_channel_open_session(channel.raw) != SSH_OK) return lost("open a channel");
    if (api_.ssh_channel_request_exec(channel.raw, command.c_str()) != SSH_OK) return lost("start a command");
    LAB_CHECK(feed(channel.raw, e));
    if (api_.ssh_channel_send_eof(channel.raw) != SSH_OK && !api_.ssh_is_connected(session_))
      return lost("end the input");
    return collect(channel.raw, e);
  }

 private:
  struct Channel {
    const Api& api;
    ssh_channel raw;
    ~Channel() {
      if (raw) api.ssh_channel_free(raw);
    }
  };

  Failure lost(const std::string& what) {
    return fail(Code::kUnavailable, "the connection broke (" + what + "): " + api_.ssh_get_error(session_),
                "run the same command again: what is done is not repeated");
  }

  Result<void> set_options(const ConnectOptions& o) {
    if (!session_) return fail(Code::kInternal, "libssh gives no session");
    auto set = [&](ssh_options_e option, const void* value) {
      return api_.ssh_options_set(session_, option, value) == 0;
    };
    long timeout = o.timeout.count();
    int no = 0;
    // The person's own configuration first (aliases, ports, jump hosts), then what was said here.
    bool ok = set(SSH_OPTIONS_HOST, target_.host.c_str());
    ok = ok && api_.ssh_options_parse_config(session_, nullptr) == 0;
    ok = ok && set(SSH_OPTIONS_KNOWNHOSTS, o.known_hosts.c_str()) && set(SSH_OPTIONS_TIMEOUT, &timeout) &&
         set(SSH_OPTIONS_GSSAPI_DELEGATE_CREDENTIALS, &no);
    if (!target_.user.empty()) ok = ok && set(SSH_OPTIONS_USER, target_.user.c_str());
    unsigned port = static_cast<unsigned>(target_.port);
    if (port) ok = ok && set(SSH_OPTIONS_PORT, &port);
    if (!ok)
      return fail(Code::kInvalid, std::string("libssh does not take the options: ") + api_.ssh_get_error(session_));
    if (!port && api_.ssh_options_get_port(session_, &port) == SSH_OK) target_.port = static_cast<int>(port);
    char* user = nullptr;
    if (target_.user.empty() && api_.ssh_options_get(session_, SSH_OPTIONS_USER, &user) == SSH_OK) {
      target_.user = user;
      api_.ssh_string_free_char(user);
    }
    return {};
  }

  // A peer that vanished without a word ends the connection instead of blocking a read or a write for ever (tcp(7)).
  void watch_peer() {
    const int fd = api_.ssh_get_fd(session_);
    const int on = 1, idle = 5, interval = 3, count = 3, limit = kSilenceMs;
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  Result<HostKey> host_key() {
    ssh_key key = nullptr;
    if (api_.ssh_get_server_publickey(session_, &key) != SSH_OK) return lost("read the host key");
    HostKey out{.type = api_.ssh_key_type_to_char(api_.ssh_key_type(key))};
    unsigned char* hash = nullptr;
    std::size_t length = 0;
    if (api_.ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &length) == 0) {
      if (char* text = api_.ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, length)) {
        out.fingerprint = text;
        api_.ssh_string_free_char(text);
      }
      api_.ssh_clean_pubkey_hash(&hash);
    }
    api_.ssh_key_free(key);
    return out;
  }

  Result<KnownHost> look_up() {
    switch (api_.ssh_session_is_known_server(session_)) {
      case SSH_KNOWN_HOSTS_OK:
        return KnownHost::kSame;
      case SSH_KNOWN_HOSTS_CHANGED:
        return KnownHost::kChanged;
      case SSH_KNOWN_HOSTS_OTHER:
        return KnownHost::kOtherType;
      case SSH_KNOWN_HOSTS_UNKNOWN:
      case SSH_KNOWN_HOSTS_NOT_FOUND:
        return KnownHost::kNew;
      case SSH_KNOWN_HOSTS_ERROR:
        break;
    }
    return fail(Code::kIo, std::string("the known hosts cannot be read: ") + api_.ssh_get_error(session_));
  }

  Result<bool> try_keys(const ConnectOptions& o, const Person& person, std::string& tried) {
    auto note = [&](const std::string& what) { tried += (tried.empty() ? "" : ", ") + what; };
    if (!o.identity.empty()) {
      LAB_TRY(auto key, read_key(o.identity, person));
      const int rc = api_.ssh_userauth_publickey(session_, nullptr, key);
      api_.ssh_key_free(key);
      if (rc == SSH_AUTH_ERROR) return lost("log in with a key");
      note("the key " + o.identity);
      return rc == SSH_AUTH_SUCCESS;
    }
    if (o.agent && std::getenv("SSH_AUTH_SOCK")) {
      const int rc = api_.ssh_userauth_agent(session_, nullptr);
      if (rc == SSH_AUTH_SUCCESS) return true;
      if (rc == SSH_AUTH_ERROR && !api_.ssh_is_connected(session_)) return lost("log in with the agent's keys");
      note("the agent's keys");
    }
    const int rc = api_.ssh_userauth_publickey_auto(session_, nullptr, nullptr);
    if (rc == SSH_AUTH_ERROR && !api_.ssh_is_connected(session_)) return lost("log in with the keys in ~/.ssh");
    note("the keys in ~/.ssh");
    return rc == SSH_AUTH_SUCCESS;
  }

  Result<ssh_key> read_key(const std::string& path, const Person& person) {
    if (!fs::exists(path))
      return fail(Code::kNotFound, "there is no key " + path, "give the private key's file: --identity FILE");
    ssh_key key = nullptr;
    if (api_.ssh_pki_import_privkey_file(path.c_str(), "", nullptr, nullptr, &key) == SSH_OK) return key;
    if (person.secret)
      if (auto phrase = person.secret("Passphrase of " + path + ": "))
        if (api_.ssh_pki_import_privkey_file(path.c_str(), phrase->c_str(), nullptr, nullptr, &key) == SSH_OK)
          return key;
    return fail(Code::kInvalid, "the key " + path + " cannot be read: it is no private key, or it has a passphrase",
                "for a key with a passphrase, load it into an agent: ssh-add " + path);
  }

  Result<bool> try_passwords(const ConnectOptions& o, const Person& person, int offered, std::string& tried) {
    if (o.password) {
      LAB_TRY(bool in, try_password(*o.password, offered));
      if (in) return true;
      tried += std::string(tried.empty() ? "" : ", ") + "the password";
      return false;
    }
    for (int attempt = 0; person.secret && attempt < 3; ++attempt) {
      auto typed = person.secret("Password of " + target_.user + "@" + target_.host + ": ");
      if (!typed) break;
      LAB_TRY(bool in, try_password(*typed, offered));
      if (in) return true;
      if (attempt == 0) tried += std::string(tried.empty() ? "" : ", ") + "the password";
    }
    return false;
  }

  Result<bool> try_password(const std::string& password, int offered) {
    int rc = SSH_AUTH_DENIED;
    if (offered & SSH_AUTH_METHOD_PASSWORD) rc = api_.ssh_userauth_password(session_, nullptr, password.c_str());
    if (rc == SSH_AUTH_DENIED && (offered & SSH_AUTH_METHOD_INTERACTIVE)) {
      // PAM asks as it likes; each question is taken for the password's.
      rc = api_.ssh_userauth_kbdint(session_, nullptr, nullptr);
      for (int round = 0; rc == SSH_AUTH_INFO && round < 5; ++round) {
        const int prompts = api_.ssh_userauth_kbdint_getnprompts(session_);
        for (int i = 0; i < prompts; ++i)
          api_.ssh_userauth_kbdint_setanswer(session_, static_cast<unsigned>(i), password.c_str());
        rc = api_.ssh_userauth_kbdint(session_, nullptr, nullptr);
      }
    }
    if (rc == SSH_AUTH_ERROR) return lost("log in with the password");
    return rc == SSH_AUTH_SUCCESS;
  }

  Failure denied(int offered, const std::string& tried) {
    std::string takes;
    for (auto [bit, name] :
         {std::pair{SSH_AUTH_METHOD_PUBLICKEY, "publickey"}, std::pair{SSH_AUTH_METHOD_PASSWORD, "password"},
          std::pair{SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive"}})
      if (offered & bit) takes += (takes.empty() ? "" : ", ") + std::string(name);
    return fail(Code::kUnauthorized,
                "it does not let " + target_.user + " in; tried: " + (tried.empty() ? "nothing" : tried) +
                    "; it takes: " + (takes.empty() ? "nothing known" : takes),
                "give the right key (--identity FILE) or password (--password-file FILE), or have the host take yours: "
                "ssh-copy-id -p " +
                    std::to_string(target_.port) + " " + target_.user + "@" + target_.host);
  }

  Result<void> feed(ssh_channel channel, const Execution& e) {
    std::size_t all = 0;
    for (auto part : e.input)
      for (std::size_t sent = 0; sent < part.size();) {
        const auto n = std::min(kChunk, part.size() - sent);
        const int rc = api_.ssh_channel_write(channel, part.data() + sent, static_cast<std::uint32_t>(n));
        if (rc <= 0) {
          if (!api_.ssh_is_connected(session_)) return lost("send");
          if (api_.ssh_channel_is_eof(channel) || api_.ssh_channel_is_closed(channel))
            return {};  // its exit code says why
          return lost("send");
        }
        sent += static_cast<std::size_t>(rc);
        all += static_cast<std::size_t>(rc);
        if (e.on_sent) e.on_sent(all);
      }
    return {};
  }

  Result<Executed> collect(ssh_channel channel, const Execution& e) {
    Executed out;
    std::array<char, 16384> buffer;
    const auto begun = std::chrono::steady_clock::now();
    for (;;) {
      const int n = api_.ssh_channel_read_timeout(channel, buffer.data(), buffer.size(), 0, kReadSliceMs);
      if (n > 0) {
        const std::string_view said(buffer.data(), static_cast<std::size_t>(n));
        if (e.on_output)
          e.on_output(said);
        else
          out.output += said;
        continue;
      }
      if (!api_.ssh_is_connected(session_)) return lost("read");
      if (api_.ssh_channel_is_eof(channel) || api_.ssh_channel_is_closed(channel)) break;
      if (n == SSH_ERROR) return lost("read");
      if (e.limit.count() > 0 && std::chrono::steady_clock::now() - begun > e.limit)
        return fail(Code::kTimeout,
                    "a command on the host did not end within " + std::to_string(e.limit.count()) + " s");
    }
    out.exit_code = api_.ssh_channel_get_exit_status(channel);
    // A server that was killed sends an end of output, and nothing after it.
    if (out.exit_code < 0 && !api_.ssh_is_connected(session_)) return lost("read the exit code");
    return out;
  }

  const Api& api_;
  Target target_;
  ssh_session session_;
};

}  // namespace

Result<std::unique_ptr<Session>> Session::open(const Target& target, const ConnectOptions& options,
                                               const Person& person) {
  LAB_TRY(const Api* api, load());
  auto session = std::make_unique<LibsshSession>(*api, target);
  LAB_CHECK(session->connect(options));
  LAB_CHECK(session->check_host_key(options, person));
  LAB_CHECK(session->log_in(options, person));
  return session;
}

}  // namespace lab::join::ssh
