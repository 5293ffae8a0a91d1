// ClassroomServer: the page, the interface and the second port over a Service.
//
//   LAB_TRY(auto server, ClassroomServer::start({.address = "127.0.0.1", .port = 8080}));
//   ... wait for a signal ...                       // the destructor ends connections; labs and terminals go on
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "labs/classroom/server/certificate.h"
#include "labs/classroom/server/service.h"

namespace lab::classroom {

struct ClassroomOptions {
  std::string only_class;  // empty: all
  std::string address = "127.0.0.1";
  int port = 8080;  // 0: any free one
  std::string ports_address = "127.0.0.1";
  int ports_port = 8081;
  std::string page;                // the directory of the page's files
  std::optional<Certificate> tls;  // both ports over TLS with this one; none: plain HTTP
};

class ClassroomServer {
 public:
  // Blocking. Errors: a port in use, a class that another process serves.
  static Result<std::unique_ptr<ClassroomServer>> start(ClassroomOptions options);
  ~ClassroomServer();
  int port() const;
  int ports_port() const;
  bool has_page() const;
  Service& service();

 private:
  struct Impl;
  explicit ClassroomServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::classroom
