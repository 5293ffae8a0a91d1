// Shapes of names, with the sentences apimachinery's validation package explains them by. Each returns "" when the text
// is fine, else why not.
#pragma once

#include <string>
#include <string_view>

namespace lab::api {

std::string dns1123_label_problem(std::string_view name);      // pods' containers, namespaces, volumes
std::string dns1123_subdomain_problem(std::string_view name);  // most objects
std::string dns1035_label_problem(std::string_view name);      // services
std::string path_segment_problem(std::string_view name);       // RBAC
std::string config_key_problem(std::string_view key);          // keys of ConfigMaps and Secrets
std::string port_name_problem(std::string_view name);          // IANA service names
std::string env_name_problem(std::string_view name);

inline constexpr std::string_view kPortRange = "must be between 1 and 65535, inclusive";
inline constexpr std::string_view kNotNegative = "must be greater than or equal to 0";
inline constexpr std::string_view kImmutable = "field is immutable";

}  // namespace lab::api
