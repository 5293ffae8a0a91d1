#include "base/io/descriptor.h"

#include <fcntl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdio>
#include <cstdlib>

namespace lab {

namespace asio = boost::asio;

namespace {

asio::io_context& current_context() {
  auto* loop = dynamic_cast<EventLoop*>(Loop::current());
  if (!loop) {
    std::fputs("bug: a descriptor or stream was made outside of an EventLoop's thread\n", stderr);
    std::abort();
  }
  return *static_cast<asio::io_context*>(loop->native());
}

}  // namespace

struct Descriptor::Impl {
  explicit Impl(int fd) : handle(current_context(), fd), fd(fd) {}
  asio::posix::stream_descriptor handle;
  int fd;
};

Descriptor::Descriptor(int fd) : impl_(std::make_unique<Impl>(fd)) {
  int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && !(flags & O_NONBLOCK)) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
Descriptor::~Descriptor() {
  close();
}

int Descriptor::fd() const {
  return impl_->fd;
}

void Descriptor::close() {
  if (impl_->fd < 0) return;
  impl_->fd = -1;
  boost::system::error_code ignored;
  impl_->handle.close(ignored);
}

void Descriptor::Wait::await_suspend(std::coroutine_handle<> h) {
  using D = asio::posix::stream_descriptor;
  descriptor->impl_->handle.async_wait(for_writing ? D::wait_write : D::wait_read,
                                       [this, h](const boost::system::error_code& ec) {
                                         ready = !ec && descriptor->open();
                                         h.resume();
                                       });
}

}  // namespace lab
