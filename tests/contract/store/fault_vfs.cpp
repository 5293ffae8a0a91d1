#include "tests/contract/store/fault_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

namespace lab::store {

namespace {

constexpr std::size_t kSector = 512;

// An operation that is not synced yet: a write of bytes, or (bytes empty) a truncation to `offset`.
struct Pending {
  std::int64_t offset;
  std::string bytes;
  bool truncate;
};

void write_into(std::string& image, std::int64_t offset, std::string_view bytes) {
  if (image.size() < offset + bytes.size()) image.resize(offset + bytes.size(), '\0');
  image.replace(offset, bytes.size(), bytes);
}

struct Node {
  std::string live, durable;
  std::vector<Pending> pending;
  int shared = 0, reserved = 0, pending_lock = 0, exclusive = 0;  // database locks: how many hold each
  std::vector<std::unique_ptr<char[]>> shm;
  int shm_shared[SQLITE_SHM_NLOCK] = {}, shm_exclusive[SQLITE_SHM_NLOCK] = {};
};

struct Disk {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Node>> files;
  std::int64_t budget = std::numeric_limits<std::int64_t>::max();
  std::int64_t operations = 0, log_syncs = 0, capacity = -1;
  bool power = true, sync_fails = false;

  // Counts an operation; false once the power is gone.
  bool spend() {
    if (!power) return false;
    ++operations;
    if (budget-- <= 0) power = false;
    return power;
  }
  std::int64_t used() const {
    std::int64_t out = 0;
    for (const auto& [_, node] : files) out += static_cast<std::int64_t>(node->live.size());
    return out;
  }
};

Disk& disk() {
  static Disk instance;
  return instance;
}

struct File {
  sqlite3_file base;
  std::shared_ptr<Node>* node;
  bool is_log;
  int lock;
  unsigned shm_shared, shm_exclusive;  // bits
};
File* of(sqlite3_file* f) {
  return reinterpret_cast<File*>(f);
}
Node& node_of(sqlite3_file* f) {
  return **of(f)->node;
}

void set_lock(File& file, int level) {
  Node& node = **file.node;
  auto count = [&](int at, int delta) {
    if (at == SQLITE_LOCK_SHARED) node.shared += delta;
    if (at == SQLITE_LOCK_RESERVED) node.reserved += delta;
    if (at == SQLITE_LOCK_PENDING) node.pending_lock += delta;
    if (at == SQLITE_LOCK_EXCLUSIVE) node.exclusive += delta;
  };
  for (int l = SQLITE_LOCK_SHARED; l <= file.lock; ++l) count(l, -1);
  for (int l = SQLITE_LOCK_SHARED; l <= level; ++l) count(l, +1);
  file.lock = level;
}

int x_shm_unmap(sqlite3_file* f, int) {
  std::lock_guard lock(disk().mutex);
  File& file = *of(f);
  Node& node = **file.node;
  for (int i = 0; i < SQLITE_SHM_NLOCK; ++i) {
    if (file.shm_shared & (1u << i)) --node.shm_shared[i];
    if (file.shm_exclusive & (1u << i)) --node.shm_exclusive[i];
  }
  file.shm_shared = file.shm_exclusive = 0;
  return SQLITE_OK;
}

int x_close(sqlite3_file* f) {
  x_shm_unmap(f, 0);
  std::lock_guard lock(disk().mutex);
  set_lock(*of(f), SQLITE_LOCK_NONE);
  delete of(f)->node;
  return SQLITE_OK;
}

int x_read(sqlite3_file* f, void* out, int n, sqlite3_int64 offset) {
  std::lock_guard lock(disk().mutex);
  if (!disk().power) return SQLITE_IOERR_READ;
  const std::string& live = node_of(f).live;
  std::int64_t have = std::clamp<std::int64_t>(static_cast<std::int64_t>(live.size()) - offset, 0, n);
  if (have > 0) std::memcpy(out, live.data() + offset, have);
  if (have == n) return SQLITE_OK;
  std::memset(static_cast<char*>(out) + have, 0, n - have);
  return SQLITE_IOERR_SHORT_READ;
}

int x_write(sqlite3_file* f, const void* data, int n, sqlite3_int64 offset) {
  std::lock_guard lock(disk().mutex);
  bool alive = disk().spend();
  bool dying = !alive && disk().budget == -1;  // the write during which the power goes is torn like any other
  if (!alive && !dying) return SQLITE_IOERR_WRITE;
  if (!alive) --disk().budget;
  Node& node = node_of(f);
  std::int64_t growth = std::max<std::int64_t>(0, offset + n - static_cast<std::int64_t>(node.live.size()));
  if (disk().capacity >= 0 && disk().used() + growth > disk().capacity) return SQLITE_FULL;
  std::string bytes(static_cast<const char*>(data), n);
  write_into(node.live, offset, bytes);
  node.pending.push_back({offset, std::move(bytes), false});
  return alive ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int x_truncate(sqlite3_file* f, sqlite3_int64 size) {
  std::lock_guard lock(disk().mutex);
  if (!disk().spend()) return SQLITE_IOERR_TRUNCATE;
  node_of(f).live.resize(size, '\0');
  node_of(f).pending.push_back({size, {}, true});
  return SQLITE_OK;
}

int x_sync(sqlite3_file* f, int) {
  std::lock_guard lock(disk().mutex);
  if (!disk().spend() || disk().sync_fails) return SQLITE_IOERR_FSYNC;
  node_of(f).durable = node_of(f).live;
  node_of(f).pending.clear();
  if (of(f)->is_log) ++disk().log_syncs;
  return SQLITE_OK;
}

int x_size(sqlite3_file* f, sqlite3_int64* out) {
  std::lock_guard lock(disk().mutex);
  if (!disk().power) return SQLITE_IOERR_FSTAT;
  *out = static_cast<sqlite3_int64>(node_of(f).live.size());
  return SQLITE_OK;
}

int x_lock(sqlite3_file* f, int level) {
  std::lock_guard lock(disk().mutex);
  File& file = *of(f);
  Node& node = **file.node;
  if (file.lock >= level) return SQLITE_OK;
  auto others = [&](int count, int own_level) { return count - (file.lock >= own_level ? 1 : 0) > 0; };
  if (level == SQLITE_LOCK_SHARED && (node.pending_lock > 0 || node.exclusive > 0)) return SQLITE_BUSY;
  if (level >= SQLITE_LOCK_RESERVED && others(node.reserved, SQLITE_LOCK_RESERVED)) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_EXCLUSIVE && others(node.shared, SQLITE_LOCK_SHARED)) return SQLITE_BUSY;
  set_lock(file, level);
  return SQLITE_OK;
}

int x_unlock(sqlite3_file* f, int level) {
  std::lock_guard lock(disk().mutex);
  if (of(f)->lock > level) set_lock(*of(f), level);
  return SQLITE_OK;
}

int x_check_reserved(sqlite3_file* f, int* out) {
  std::lock_guard lock(disk().mutex);
  *out = node_of(f).reserved > 0;
  return SQLITE_OK;
}

int x_control(sqlite3_file*, int, void*) {
  return SQLITE_NOTFOUND;
}
int x_sector(sqlite3_file*) {
  return kSector;
}
int x_characteristics(sqlite3_file*) {
  return 0;
}  // no promise: not even that a write spares its neighbours

int x_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  std::lock_guard lock(disk().mutex);
  auto& shm = node_of(f).shm;
  *out = nullptr;
  if (static_cast<std::size_t>(page) >= shm.size() && !extend) return SQLITE_OK;
  while (shm.size() <= static_cast<std::size_t>(page)) shm.push_back(std::make_unique<char[]>(size));
  *out = shm[page].get();
  return SQLITE_OK;
}

int x_shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  std::lock_guard lock(disk().mutex);
  File& file = *of(f);
  Node& node = **file.node;
  for (int i = offset; i < offset + n; ++i) {
    unsigned bit = 1u << i;
    bool mine_shared = file.shm_shared & bit, mine_exclusive = file.shm_exclusive & bit;
    if (flags & SQLITE_SHM_UNLOCK) continue;
    if (node.shm_exclusive[i] > (mine_exclusive ? 1 : 0)) return SQLITE_BUSY;
    if ((flags & SQLITE_SHM_EXCLUSIVE) && node.shm_shared[i] > (mine_shared ? 1 : 0)) return SQLITE_BUSY;
  }
  bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
  unsigned& mine = exclusive ? file.shm_exclusive : file.shm_shared;
  int* counts = exclusive ? node.shm_exclusive : node.shm_shared;
  for (int i = offset; i < offset + n; ++i) {
    unsigned bit = 1u << i;
    bool held = mine & bit, want = flags & SQLITE_SHM_LOCK;
    if (held == want) continue;
    counts[i] += want ? 1 : -1;
    mine ^= bit;
  }
  return SQLITE_OK;
}

void x_shm_barrier(sqlite3_file*) {
  std::lock_guard lock(disk().mutex);
}

constexpr sqlite3_io_methods kMethods{.iVersion = 2,
                                      .xClose = x_close,
                                      .xRead = x_read,
                                      .xWrite = x_write,
                                      .xTruncate = x_truncate,
                                      .xSync = x_sync,
                                      .xFileSize = x_size,
                                      .xLock = x_lock,
                                      .xUnlock = x_unlock,
                                      .xCheckReservedLock = x_check_reserved,
                                      .xFileControl = x_control,
                                      .xSectorSize = x_sector,
                                      .xDeviceCharacteristics = x_characteristics,
                                      .xShmMap = x_shm_map,
                                      .xShmLock = x_shm_lock,
                                      .xShmBarrier = x_shm_barrier,
                                      .xShmUnmap = x_shm_unmap};

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  std::lock_guard lock(disk().mutex);
  File& file = *of(f);
  file.base.pMethods = nullptr;
  if (!disk().power) return SQLITE_CANTOPEN;
  std::string path = name ? name : "temporary";
  auto it = disk().files.find(path);
  if (it == disk().files.end()) {
    if (!(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
    it = disk().files.emplace(path, std::make_shared<Node>()).first;
  }
  file.node = new std::shared_ptr<Node>(it->second);
  file.is_log = path.ends_with("-wal");
  file.lock = SQLITE_LOCK_NONE;
  file.shm_shared = file.shm_exclusive = 0;
  file.base.pMethods = &kMethods;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

int x_delete(sqlite3_vfs*, const char* name, int) {
  std::lock_guard lock(disk().mutex);
  if (!disk().spend()) return SQLITE_IOERR_DELETE;
  return disk().files.erase(name) ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

int x_access(sqlite3_vfs*, const char* name, int, int* out) {
  std::lock_guard lock(disk().mutex);
  *out = disk().files.contains(name);
  return SQLITE_OK;
}

int x_full_path(sqlite3_vfs*, const char* name, int n, char* out) {
  sqlite3_snprintf(n, out, "%s", name);
  return SQLITE_OK;
}

}  // namespace

FaultVfs& FaultVfs::get() {
  static FaultVfs* instance = [] {
    static sqlite3_vfs vfs = *sqlite3_vfs_find(nullptr);  // clock, randomness and sleep are the system's
    vfs.szOsFile = sizeof(File);
    vfs.zName = kName;
    vfs.pNext = nullptr;
    vfs.xOpen = x_open;
    vfs.xDelete = x_delete;
    vfs.xAccess = x_access;
    vfs.xFullPathname = x_full_path;
    sqlite3_vfs_register(&vfs, 0);
    return new FaultVfs;
  }();
  return *instance;
}

void FaultVfs::format() {
  std::lock_guard lock(disk().mutex);
  disk().files.clear();
  disk().budget = std::numeric_limits<std::int64_t>::max();
  disk().operations = disk().log_syncs = 0;
  disk().capacity = -1;
  disk().power = true;
  disk().sync_fails = false;
}

void FaultVfs::cut_power_after(std::int64_t operations) {
  std::lock_guard lock(disk().mutex);
  disk().budget = operations;
}

bool FaultVfs::powered() const {
  std::lock_guard lock(disk().mutex);
  return disk().power;
}

void FaultVfs::restart(std::uint64_t seed) {
  std::lock_guard lock(disk().mutex);
  std::mt19937_64 random(seed);
  for (auto& [name, node] : disk().files) {
    std::string image = node->durable;
    int mood = static_cast<int>(random() % 4);  // all lost, all kept, or mixed
    for (const auto& op : node->pending) {
      int fate = mood == 0 ? 0 : mood == 1 ? 1 : static_cast<int>(random() % 3);
      if (fate == 0) continue;
      if (op.truncate) {
        image.resize(op.offset, '\0');
        continue;
      }
      for (std::size_t from = 0; from < op.bytes.size();) {
        std::size_t to_boundary = kSector - (op.offset + from) % kSector;
        std::size_t n = std::min(to_boundary, op.bytes.size() - from);
        if (fate == 1 || random() % 2) write_into(image, op.offset + from, std::string_view(op.bytes).substr(from, n));
        from += n;
      }
    }
    auto fresh = std::make_shared<Node>();
    fresh->live = fresh->durable = std::move(image);
    node = std::move(fresh);
  }
  disk().budget = std::numeric_limits<std::int64_t>::max();
  disk().power = true;
}

std::int64_t FaultVfs::operations() const {
  std::lock_guard lock(disk().mutex);
  return disk().operations;
}
std::int64_t FaultVfs::log_syncs() const {
  std::lock_guard lock(disk().mutex);
  return disk().log_syncs;
}
void FaultVfs::set_capacity(std::int64_t bytes) {
  std::lock_guard lock(disk().mutex);
  disk().capacity = bytes;
}
void FaultVfs::fail_syncs(bool fail) {
  std::lock_guard lock(disk().mutex);
  disk().sync_fails = fail;
}

}  // namespace lab::store
