# What an installation holds, and the Debian package made of it (tools/package, or the target `package`).
# The binary finds <prefix>/share/lab from its own place, <prefix>/bin; units are written by `lab init`, none are static.
set(LAB_PACKAGE_DIR ${CMAKE_BINARY_DIR}/package)
set(LAB_DOCUMENTS ${LAB_PACKAGE_DIR}/documents)

install(TARGETS lab RUNTIME DESTINATION bin)
install(DIRECTORY ${CMAKE_BINARY_DIR}/share/ DESTINATION share/lab
        FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
# The binary itself writes its manual and completions; rules of one folder run in this order.
install(CODE "set(LAB_SOURCE [[${CMAKE_SOURCE_DIR}]])\nset(LAB_BUILD [[${CMAKE_BINARY_DIR}]])\nset(LAB_DOCUMENTS [[${LAB_DOCUMENTS}]])")
install(SCRIPT ${CMAKE_SOURCE_DIR}/cmake/deb/documents.cmake)
install(FILES ${LAB_DOCUMENTS}/lab.1.gz DESTINATION share/man/man1)
install(FILES ${LAB_DOCUMENTS}/lab DESTINATION share/bash-completion/completions)
install(FILES ${LAB_DOCUMENTS}/_lab DESTINATION share/zsh/vendor-completions)
install(FILES ${LAB_DOCUMENTS}/lab.fish DESTINATION share/fish/vendor_completions.d)
install(FILES ${LAB_DOCUMENTS}/copyright ${LAB_DOCUMENTS}/changelog.gz DESTINATION share/doc/lab)

set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${LAB_PACKAGE_DIR})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_NAME lab)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The lab developers <lab@lab.invalid>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "multi-node Kubernetes lab in one program")
set(CPACK_PACKAGE_DESCRIPTION
    "Makes Kubernetes clusters for lessons and exercises: with \"lab start\" one of
several nodes on this machine in seconds, offline and without virtual
machines; with \"lab init\" and \"lab join\" one of real hosts, as kubeadm does.

The program brings its own control plane, node agent, service proxy, cluster
DNS and VXLAN pod network, and the container images of the first exercises.
Pods run in containerd.")
# Libraries are found by dpkg-shlibdeps. The rest are programs: the first ones no node does without; nft and ip are for
# who looks into a node. What one command alone needs is recommended (libssh is loaded by `lab join --ssh`).
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "containerd, runc | crun, mount, e2fsprogs, nftables, iproute2, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "kubectl | kubernetes-client, crun, libssh-4, buildah")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "curl, etcd-server, libvirt-daemon-system, qemu-system-x86, qemu-utils, mmdebstrap")
include(CPack)
