// Subjects and subject alternative names between our values and OpenSSL's, for the .cpp files of this folder.
#pragma once

#include <string>
#include <vector>

#include "pki/openssl.h"

namespace lab::pki {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

std::string common_name_of(const X509_NAME* name);
std::vector<std::string> organizations_of(const X509_NAME* name);
void set_subject(X509_NAME* name, const std::string& common_name, const std::vector<std::string>& organizations);

NamesPtr make_names(const std::vector<std::string>& dns_names, const std::vector<std::string>& addresses);
void read_names(const GENERAL_NAMES* names, std::vector<std::string>& dns_names, std::vector<std::string>& addresses);
NamesPtr names_of_request(X509_REQ* request);   // null when it asks for none

}  // namespace lab::pki
