// The one file that knows libvirt. It is loaded by dlopen when the first connection is opened: `lab` runs on every
// node, also as CNI plugin, and neither needs libvirt there nor should pay for loading it.
#include "join/vm/libvirt.h"

#include <dlfcn.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace lab::join::vm {

namespace {

// clang-format off
#define LAB_VIRT_FUNCTIONS(X)                                                                                    \
  X(virInitialize) X(virConnectOpen) X(virConnectClose) X(virSetErrorFunc) X(virGetLastErrorCode)                \
  X(virGetLastErrorMessage) X(virResetLastError)                                      \
  X(virEventRegisterDefaultImpl) X(virEventRunDefaultImpl) X(virEventAddTimeout) X(virEventRemoveTimeout)        \
  X(virConnectDomainEventRegisterAny) X(virConnectDomainEventDeregisterAny)                                      \
  X(virConnectListAllDomains) X(virDomainLookupByName) X(virDomainGetName) X(virDomainGetUUIDString)             \
  X(virDomainIsActive) X(virDomainGetXMLDesc) X(virDomainDefineXML) X(virDomainCreate) X(virDomainShutdown)      \
  X(virDomainDestroy) X(virDomainUndefineFlags) X(virDomainUndefine) X(virDomainFree)                            \
  X(virNetworkLookupByName) X(virNetworkDefineXML) X(virNetworkCreate) X(virNetworkDestroy) X(virNetworkUndefine) \
  X(virNetworkIsActive) X(virNetworkGetXMLDesc) X(virNetworkSetAutostart) X(virNetworkUpdate) X(virNetworkFree)  \
  X(virStoragePoolLookupByName) X(virStoragePoolDefineXML) X(virStoragePoolCreate) X(virStoragePoolDestroy)      \
  X(virStoragePoolUndefine) X(virStoragePoolIsActive) X(virStoragePoolRefresh) X(virStoragePoolSetAutostart)     \
  X(virStoragePoolListAllVolumes) X(virStoragePoolFree)                                                          \
  X(virStorageVolCreateXML) X(virStorageVolLookupByName) X(virStorageVolDelete) X(virStorageVolGetName)          \
  X(virStorageVolFree)
// clang-format on

struct Api {
#define LAB_VIRT_MEMBER(name) decltype(&::name) name = nullptr;
  LAB_VIRT_FUNCTIONS(LAB_VIRT_MEMBER)
#undef LAB_VIRT_MEMBER
};

constexpr const char* kInstall =
    "install and start it: apt-get install libvirt-daemon-system qemu-system-x86 qemu-utils dnsmasq-base";

void silence(void*, virErrorPtr) {}  // errors are returned, not printed

Result<const Api*> load() {
  static const Result<Api> loaded = []() -> Result<Api> {
    void* library = ::dlopen("libvirt.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
      return fail(Code::kUnavailable, std::string("libvirt is not installed on this machine: ") + ::dlerror(),
                  kInstall);
    Api api;
#define LAB_VIRT_LOAD(name)                                                 \
  api.name = reinterpret_cast<decltype(api.name)>(::dlsym(library, #name)); \
  if (!api.name)                                                            \
    return fail(Code::kUnavailable, "this libvirt is too old: it has no " #name, "install libvirt 5.0 or newer");
    LAB_VIRT_FUNCTIONS(LAB_VIRT_LOAD)
#undef LAB_VIRT_LOAD
    api.virSetErrorFunc(nullptr, silence);
    // Before any connection, once in a process.
    if (api.virInitialize() < 0 || api.virEventRegisterDefaultImpl() < 0)
      return fail(Code::kInternal, std::string("libvirt does not start: ") + api.virGetLastErrorMessage());
    return api;
  }();
  if (!loaded) return std::unexpected(loaded.error());
  return &*loaded;
}

// libvirt's event loop, which belongs to the process: it runs while there is a connection.
class EventLoop {
 public:
  explicit EventLoop(const Api& api) : api_(api) {
    // Its wait has no end of its own: this timer gives the thread a look at stop_.
    timer_ = api_.virEventAddTimeout(100, [](int, void*) {}, nullptr, nullptr);
    thread_ = std::thread([this] {
      while (!stop_) api_.virEventRunDefaultImpl();
    });
  }
  ~EventLoop() {
    stop_ = true;
    thread_.join();
    api_.virEventRemoveTimeout(timer_);
  }
  static std::shared_ptr<EventLoop> get(const Api& api) {
    static std::mutex mutex;
    static std::weak_ptr<EventLoop> running;
    std::lock_guard lock(mutex);
    auto loop = running.lock();
    if (!loop) running = loop = std::make_shared<EventLoop>(api);
    return loop;
  }

 private:
  const Api& api_;
  int timer_ = -1;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Events by domain, as they came; filled by the loop's thread, taken by any other.
struct Mailbox {
  const Api& api;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::deque<DomainEvent>> events;

  void put(virDomainPtr domain, DomainEvent event) {
    const char* name = api.virDomainGetName(domain);
    if (!name) return;
    std::lock_guard lock(mutex);
    auto& queue = events[name];
    queue.push_back(std::move(event));
    if (queue.size() > 100) queue.pop_front();
    changed.notify_all();
  }
};

std::string stop_reason(int detail) {
  switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
      return "it was shut down from inside";
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
      return "it was destroyed from outside";
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
      return "it crashed";
    case VIR_DOMAIN_EVENT_STOPPED_FAILED:
      return "the emulator failed";
    default:
      return "it stopped";
  }
}

int on_lifecycle(virConnectPtr, virDomainPtr domain, int event, int detail, void* opaque) {
  auto* box = static_cast<Mailbox*>(opaque);
  if (event == VIR_DOMAIN_EVENT_STARTED)
    box->put(domain, {.kind = DomainEvent::kStarted});
  else if (event == VIR_DOMAIN_EVENT_STOPPED || event == VIR_DOMAIN_EVENT_CRASHED)
    box->put(domain, {.kind = DomainEvent::kStopped,
                      .detail = event == VIR_DOMAIN_EVENT_CRASHED ? "it crashed" : stop_reason(detail)});
  else
    box->put(domain, {});
  return 0;
}

void on_agent(virConnectPtr, virDomainPtr domain, int state, int, void* opaque) {
  static_cast<Mailbox*>(opaque)->put(
      domain, {.kind = state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED ? DomainEvent::kAgentConnected
                                                                                         : DomainEvent::kAgentGone});
}

// Each event has a callback type of its own, and registering takes them all as one.
template <class F>
virConnectDomainEventGenericCallback callback(F* f) {
  return reinterpret_cast<virConnectDomainEventGenericCallback>(reinterpret_cast<void (*)()>(f));
}

}  // namespace

struct Libvirt::Impl {
  explicit Impl(const Api& a) : api(a), mailbox{.api = a} {}
  ~Impl() {
    for (int id : callbacks) api.virConnectDomainEventDeregisterAny(connection, id);
    if (connection) api.virConnectClose(connection);
  }

  Failure failure(const std::string& what) {
    const std::string why = api.virGetLastErrorMessage();
    switch (api.virGetLastErrorCode()) {
      case VIR_ERR_NO_DOMAIN:
      case VIR_ERR_NO_NETWORK:
      case VIR_ERR_NO_STORAGE_POOL:
      case VIR_ERR_NO_STORAGE_VOL:
        return fail(Code::kNotFound, what + ": " + why);
      case VIR_ERR_NO_SOURCE:
      default:
        break;
    }
    std::string hint = "see the daemon's log: journalctl -u libvirtd -n 50";
    if (why.find("capabilities") != std::string::npos || why.find("emulator") != std::string::npos)
      hint = "install the emulator: apt-get install qemu-system-x86";
    if (why.find("qemu-img") != std::string::npos) hint = "install it: apt-get install qemu-utils";
    if (why.find("dnsmasq") != std::string::npos) hint = "install it: apt-get install dnsmasq-base";
    if (why.find("No space left") != std::string::npos) hint = "free some space: df -h /var/lib/lab";
    return fail(Code::kInternal, what + ": libvirt says: " + why, hint);
  }

  // A libvirt object that frees itself.
  template <class T>
  using Handle = std::unique_ptr<T, std::function<void(T*)>>;
  Handle<virDomain> find_domain(const std::string& name) {
    return {api.virDomainLookupByName(connection, name.c_str()), [this](virDomain* d) {
              if (d) api.virDomainFree(d);
            }};
  }
  Handle<virNetwork> find_network(const std::string& name) {
    return {api.virNetworkLookupByName(connection, name.c_str()), [this](virNetwork* n) {
              if (n) api.virNetworkFree(n);
            }};
  }
  Handle<virStoragePool> find_pool(const std::string& name) {
    return {api.virStoragePoolLookupByName(connection, name.c_str()), [this](virStoragePool* p) {
              if (p) api.virStoragePoolFree(p);
            }};
  }
  Handle<virStorageVol> find_volume(virStoragePool* pool, const std::string& name) {
    return {api.virStorageVolLookupByName(pool, name.c_str()), [this](virStorageVol* v) {
              if (v) api.virStorageVolFree(v);
            }};
  }

  // The failure of a look-up, where absence is fine.
  Result<void> unless_absent(const std::string& what) {
    auto why = failure(what);
    if (why.error().code == Code::kNotFound) return {};
    return why;
  }
  Result<void> verdict(int rc, const std::string& what) {
    if (rc < 0) return failure(what);
    return {};
  }

  Domain describe(virDomain* d) {
    Domain out;
    if (const char* name = api.virDomainGetName(d)) out.name = name;
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    if (api.virDomainGetUUIDString(d, uuid) == 0) out.uuid = uuid;
    out.active = api.virDomainIsActive(d) == 1;
    if (char* xml = api.virDomainGetXMLDesc(d, VIR_DOMAIN_XML_INACTIVE)) {
      out.xml = xml;
      std::free(xml);
    }
    return out;
  }

  const Api& api;
  std::shared_ptr<EventLoop> loop;
  virConnectPtr connection = nullptr;
  Mailbox mailbox;
  std::vector<int> callbacks;
};

Libvirt::Libvirt(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Libvirt::~Libvirt() = default;

Result<std::unique_ptr<Libvirt>> Libvirt::open(const std::string& uri) {
  LAB_TRY(const Api* api, load());
  auto impl = std::make_unique<Impl>(*api);
  impl->loop = EventLoop::get(*api);
  impl->connection = api->virConnectOpen(uri.c_str());
  if (!impl->connection)
    return fail(Code::kUnavailable, "no libvirt daemon answers at " + uri + ": " + api->virGetLastErrorMessage(),
                std::string(kInstall) +
                    "; systemctl start libvirtd; or name another one (--connect URI, or LIBVIRT_DEFAULT_URI)");
  auto& box = impl->mailbox;
  impl->callbacks = {
      api->virConnectDomainEventRegisterAny(impl->connection, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                            callback(on_lifecycle), &box, nullptr),
      api->virConnectDomainEventRegisterAny(impl->connection, nullptr, VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                                            callback(on_agent), &box, nullptr)};
  std::erase(impl->callbacks, -1);  // not every driver has events of the agent
  return std::unique_ptr<Libvirt>(new Libvirt(std::move(impl)));
}

Result<std::vector<Domain>> Libvirt::domains() {
  virDomainPtr* list = nullptr;
  const int count = impl_->api.virConnectListAllDomains(impl_->connection, &list, 0);
  if (count < 0) return impl_->failure("list the domains");
  std::vector<Domain> out;
  for (int i = 0; i < count; ++i) {
    out.push_back(impl_->describe(list[i]));
    impl_->api.virDomainFree(list[i]);
  }
  std::free(list);
  return out;
}

Result<Domain> Libvirt::domain(const std::string& name) {
  auto d = impl_->find_domain(name);
  if (!d) return impl_->failure("find domain " + name);
  return impl_->describe(d.get());
}

Result<void> Libvirt::define_domain(const std::string& xml) {
  virDomainPtr d = impl_->api.virDomainDefineXML(impl_->connection, xml.c_str());
  if (!d) return impl_->failure("define the domain");
  impl_->api.virDomainFree(d);
  return {};
}

Result<void> Libvirt::start_domain(const std::string& name) {
  auto d = impl_->find_domain(name);
  if (!d) return impl_->failure("find domain " + name);
  if (impl_->api.virDomainIsActive(d.get()) == 1) return {};
  return impl_->verdict(impl_->api.virDomainCreate(d.get()), "start domain " + name);
}

Result<void> Libvirt::shut_down_domain(const std::string& name) {
  auto d = impl_->find_domain(name);
  if (!d) return impl_->unless_absent("find domain " + name);
  if (impl_->api.virDomainIsActive(d.get()) != 1) return {};
  return impl_->verdict(impl_->api.virDomainShutdown(d.get()), "shut down domain " + name);
}

Result<void> Libvirt::destroy_domain(const std::string& name) {
  auto d = impl_->find_domain(name);
  if (!d) return impl_->unless_absent("find domain " + name);
  if (impl_->api.virDomainIsActive(d.get()) != 1) return {};
  if (impl_->api.virDomainDestroy(d.get()) < 0 && impl_->api.virDomainIsActive(d.get()) == 1)
    return impl_->failure("destroy domain " + name);
  return {};
}

Result<void> Libvirt::undefine_domain(const std::string& name) {
  auto d = impl_->find_domain(name);
  if (!d) return impl_->unless_absent("find domain " + name);
  constexpr unsigned kAll =
      VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM;
  if (impl_->api.virDomainUndefineFlags(d.get(), kAll) == 0) return {};
  // Not every driver takes all flags.
  return impl_->verdict(impl_->api.virDomainUndefine(d.get()), "undefine domain " + name);
}

Result<Network> Libvirt::network(const std::string& name) {
  auto n = impl_->find_network(name);
  if (!n) return impl_->failure("find network " + name);
  Network out{.active = impl_->api.virNetworkIsActive(n.get()) == 1};
  char* xml = impl_->api.virNetworkGetXMLDesc(n.get(), 0);
  if (!xml) return impl_->failure("read network " + name);
  out.xml = xml;
  std::free(xml);
  return out;
}

Result<void> Libvirt::define_network(const std::string& xml) {
  virNetworkPtr n = impl_->api.virNetworkDefineXML(impl_->connection, xml.c_str());
  if (!n) return impl_->failure("define the network");
  impl_->api.virNetworkFree(n);
  return {};
}

Result<void> Libvirt::start_network(const std::string& name) {
  auto n = impl_->find_network(name);
  if (!n) return impl_->failure("find network " + name);
  if (impl_->api.virNetworkIsActive(n.get()) != 1)
    LAB_CHECK(impl_->verdict(impl_->api.virNetworkCreate(n.get()), "start network " + name));
  return impl_->verdict(impl_->api.virNetworkSetAutostart(n.get(), 1), "let network " + name + " start by itself");
}

Result<void> Libvirt::remove_network(const std::string& name) {
  auto n = impl_->find_network(name);
  if (!n) return impl_->unless_absent("find network " + name);
  if (impl_->api.virNetworkIsActive(n.get()) == 1)
    LAB_CHECK(impl_->verdict(impl_->api.virNetworkDestroy(n.get()), "stop network " + name));
  return impl_->verdict(impl_->api.virNetworkUndefine(n.get()), "undefine network " + name);
}

namespace {
constexpr unsigned kNowAndLater = VIR_NETWORK_UPDATE_AFFECT_LIVE | VIR_NETWORK_UPDATE_AFFECT_CONFIG;
}

Result<void> Libvirt::add_dhcp_host(const std::string& network, const std::string& xml) {
  auto n = impl_->find_network(network);
  if (!n) return impl_->failure("find network " + network);
  return impl_->verdict(impl_->api.virNetworkUpdate(n.get(), VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
                                                    VIR_NETWORK_SECTION_IP_DHCP_HOST, -1, xml.c_str(), kNowAndLater),
                        "add a host to the DHCP server of network " + network);
}

Result<void> Libvirt::remove_dhcp_host(const std::string& network, const std::string& xml) {
  auto n = impl_->find_network(network);
  if (!n) return impl_->unless_absent("find network " + network);
  return impl_->verdict(impl_->api.virNetworkUpdate(n.get(), VIR_NETWORK_UPDATE_COMMAND_DELETE,
                                                    VIR_NETWORK_SECTION_IP_DHCP_HOST, -1, xml.c_str(), kNowAndLater),
                        "take a host from the DHCP server of network " + network);
}

Result<void> Libvirt::ensure_pool(const std::string& name, const std::string& xml) {
  auto pool = impl_->find_pool(name);
  if (!pool) {
    LAB_CHECK(impl_->unless_absent("find pool " + name));
    virStoragePoolPtr made = impl_->api.virStoragePoolDefineXML(impl_->connection, xml.c_str(), 0);
    if (!made) return impl_->failure("define pool " + name);
    impl_->api.virStoragePoolFree(made);
    pool = impl_->find_pool(name);
    if (!pool) return impl_->failure("find pool " + name);
  }
  if (impl_->api.virStoragePoolIsActive(pool.get()) != 1)
    LAB_CHECK(impl_->verdict(impl_->api.virStoragePoolCreate(pool.get(), 0), "start pool " + name));
  return impl_->verdict(impl_->api.virStoragePoolSetAutostart(pool.get(), 1), "let pool " + name + " start by itself");
}

Result<void> Libvirt::refresh_pool(const std::string& name) {
  auto pool = impl_->find_pool(name);
  if (!pool) return impl_->failure("find pool " + name);
  return impl_->verdict(impl_->api.virStoragePoolRefresh(pool.get(), 0), "look into pool " + name);
}

Result<void> Libvirt::remove_pool(const std::string& name) {
  auto pool = impl_->find_pool(name);
  if (!pool) return impl_->unless_absent("find pool " + name);
  if (impl_->api.virStoragePoolIsActive(pool.get()) == 1)
    LAB_CHECK(impl_->verdict(impl_->api.virStoragePoolDestroy(pool.get()), "stop pool " + name));
  return impl_->verdict(impl_->api.virStoragePoolUndefine(pool.get()), "undefine pool " + name);
}

Result<std::vector<std::string>> Libvirt::volumes(const std::string& name) {
  std::vector<std::string> out;
  auto pool = impl_->find_pool(name);
  if (!pool) {
    LAB_CHECK(impl_->unless_absent("find pool " + name));
    return out;
  }
  if (impl_->api.virStoragePoolIsActive(pool.get()) != 1) return out;
  virStorageVolPtr* list = nullptr;
  const int count = impl_->api.virStoragePoolListAllVolumes(pool.get(), &list, 0);
  if (count < 0) return impl_->failure("list the volumes of pool " + name);
  for (int i = 0; i < count; ++i) {
    if (const char* volume = impl_->api.virStorageVolGetName(list[i])) out.push_back(volume);
    impl_->api.virStorageVolFree(list[i]);
  }
  std::free(list);
  return out;
}

Result<void> Libvirt::create_volume(const std::string& name, const std::string& xml) {
  auto pool = impl_->find_pool(name);
  if (!pool) return impl_->failure("find pool " + name);
  virStorageVolPtr volume = impl_->api.virStorageVolCreateXML(pool.get(), xml.c_str(), 0);
  if (!volume) return impl_->failure("make a volume in pool " + name);
  impl_->api.virStorageVolFree(volume);
  return {};
}

Result<void> Libvirt::remove_volume(const std::string& name, const std::string& volume) {
  auto pool = impl_->find_pool(name);
  if (!pool) return impl_->unless_absent("find pool " + name);
  if (impl_->api.virStoragePoolIsActive(pool.get()) != 1) return {};
  auto v = impl_->find_volume(pool.get(), volume);
  if (!v) return impl_->unless_absent("find volume " + volume);
  return impl_->verdict(impl_->api.virStorageVolDelete(v.get(), 0), "delete volume " + volume);
}

std::optional<DomainEvent> Libvirt::next_event(const std::string& domain, std::chrono::milliseconds limit) {
  auto& box = impl_->mailbox;
  std::unique_lock lock(box.mutex);
  auto& queue = box.events[domain];
  if (!box.changed.wait_for(lock, limit, [&] { return !queue.empty(); })) return std::nullopt;
  auto event = std::move(queue.front());
  queue.pop_front();
  return event;
}

}  // namespace lab::join::vm
