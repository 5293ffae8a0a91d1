# etcd's definitions as messages of the lite runtime: no services, no options of other generators, imports beside them.
s/^syntax = "proto3";/syntax = "proto3"; option optimize_for = LITE_RUNTIME;/
/gogoproto/d
/^service /,/^}/d
/^import "google/d
/^import "protoc-gen/d
s#etcd/api/mvccpb/kv.proto#etcd_kv.proto#
s#etcd/api/authpb/auth.proto#etcd_auth.proto#
