# The Kubernetes, CRI, etcd and OpenAPI definitions. Sets
#   LAB_K8S_PROTOS   directory that holds usr/share/gocode/src
#   LAB_GOCODE       that directory: import root of the .proto files ("k8s.io/cri-api/pkg/apis/runtime/v1/api.proto")
# tools/fetch-k8s-protos brings them once per machine, for every clone and build directory; -DLAB_K8S_PROTOS_DIR=DIR
# takes an unpacked copy instead.
set(LAB_K8S_PROTOS_DIR "" CACHE PATH "An unpacked copy of the Kubernetes definitions; empty: fetched")
if(LAB_K8S_PROTOS_DIR)
  set(LAB_K8S_PROTOS ${LAB_K8S_PROTOS_DIR})
else()
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/fetch-k8s-protos
    OUTPUT_VARIABLE LAB_K8S_PROTOS OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE lab_protos_failed)
  if(lab_protos_failed)
    message(FATAL_ERROR "tools/fetch-k8s-protos failed (its reason stands above). It needs a Debian mirror that "
                        "carries trixie; or give -DLAB_K8S_PROTOS_DIR=DIR with an unpacked copy.")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/fetch-k8s-protos)
endif()
set(LAB_GOCODE ${LAB_K8S_PROTOS}/usr/share/gocode/src)
if(NOT EXISTS ${LAB_GOCODE}/k8s.io/api/core/v1/generated.proto)
  message(FATAL_ERROR "${LAB_K8S_PROTOS} holds no usr/share/gocode/src/k8s.io/api/core/v1/generated.proto")
endif()
