#include "base/nft/nft.h"

#include <nftables/libnftables.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <mutex>
#include <string_view>

#include "base/fs.h"

namespace lab {
namespace {

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

std::string_view line_of(std::string_view script, std::size_t number) {
  for (std::size_t at = 1; !script.empty(); ++at) {
    auto end = script.find('\n');
    if (at == number) return script.substr(0, end);
    if (end == std::string_view::npos) break;
    script.remove_prefix(end + 1);
  }
  return {};
}

// The library says "SOURCE:LINE:COLUMNS: Error: WHY", then quotes the text. Only the first complaint is passed on: the
// others follow from it.
Error explain(std::string_view complaint, std::string_view script) {
  auto first = complaint.substr(0, complaint.find('\n'));
  auto mark = first.find("Error: ");
  std::string why(mark == std::string_view::npos ? first : first.substr(mark + 7));
  if (why.empty()) why = "no reason given";
  std::size_t line = 0;
  if (auto colon = first.find(':'); colon != std::string_view::npos) {
    std::from_chars(first.data() + colon + 1, first.data() + first.size(), line);
  }
  std::string command(line_of(script, line));
  if (command.size() > 300) command = command.substr(0, 300) + "...";
  return Error{.code = Code::kInternal, .message = "nftables refused '" + command + "': " + why};
}

}  // namespace

struct Nft::Context {
  nft_ctx* ctx = nullptr;
  ~Context() {
    if (!ctx) return;
    std::lock_guard lock(library_mutex());
    nft_ctx_free(ctx);
  }

  Result<std::string> run(const std::string& script, unsigned output_flags) {
    std::lock_guard lock(library_mutex());
    nft_ctx_output_set_flags(ctx, output_flags);
    // Read as a file in memory: scripts given as a buffer lose their line numbers in errors.
    int fd = ::memfd_create("nft-script", MFD_CLOEXEC);
    if (fd < 0) return fail_errno("cannot make a file in memory");
    std::string path = "/proc/self/fd/" + std::to_string(fd);
    auto written = fs::write_in_place(path, script);
    int status = written ? nft_run_cmd_from_filename(ctx, path.c_str()) : 0;
    ::close(fd);
    if (!written) return std::unexpected(std::move(written).error());
    const char* out = nft_ctx_get_output_buffer(ctx);
    const char* complaint = nft_ctx_get_error_buffer(ctx);
    std::string answer = out ? out : "";
    if (status != 0) return std::unexpected(explain(complaint ? complaint : "", script));
    return answer;
  }
};

Nft::Nft(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Nft::Nft(Nft&&) noexcept = default;
Nft& Nft::operator=(Nft&&) noexcept = default;
Nft::~Nft() = default;

Result<Nft> Nft::open() {
  std::lock_guard lock(library_mutex());
  auto context = std::make_unique<Context>();
  context->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
  if (!context->ctx) return fail(Code::kInternal, "cannot open nftables", "this needs root (CAP_NET_ADMIN)");
  nft_ctx_buffer_output(context->ctx);
  nft_ctx_buffer_error(context->ctx);
  return Nft(std::move(context));
}

Result<std::string> Nft::run(const std::string& script) {
  return context_->run(script, NFT_CTX_OUTPUT_NUMERIC_ALL);
}

Result<std::string> Nft::run_json(const std::string& script) {
  return context_->run(script, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL);
}

Result<void> Nft::delete_table(const std::string& family, const std::string& name) {
  // Adding first makes the removal succeed whether or not the table is there.
  LAB_CHECK(run("add table " + family + " " + name + "\ndelete table " + family + " " + name + "\n"));
  return {};
}

}  // namespace lab
