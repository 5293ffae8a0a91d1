#include "pki/names.h"

#include <arpa/inet.h>

namespace lab::pki {

namespace {

std::vector<std::string> entries_of(const X509_NAME* name, int nid) {
  std::vector<std::string> out;
  for (int i = -1; (i = X509_NAME_get_index_by_NID(name, nid, i)) >= 0;) {
    unsigned char* text = nullptr;
    int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
    if (size < 0) continue;
    out.emplace_back(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
  }
  return out;
}

void add_entry(X509_NAME* name, int nid, const std::string& value) {
  X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                             static_cast<int>(value.size()), -1, 0);
}

void push(GENERAL_NAMES* names, int type, const void* data, std::size_t size) {
  ASN1_STRING* s = type == GEN_DNS ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new();
  ASN1_STRING_set(s, data, static_cast<int>(size));
  GENERAL_NAME* name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, type, s);
  sk_GENERAL_NAME_push(names, name);
}

}  // namespace

std::string common_name_of(const X509_NAME* name) {
  auto all = entries_of(name, NID_commonName);
  return all.empty() ? std::string() : all.back();
}

std::vector<std::string> organizations_of(const X509_NAME* name) { return entries_of(name, NID_organizationName); }

void set_subject(X509_NAME* name, const std::string& common_name, const std::vector<std::string>& organizations) {
  for (const auto& o : organizations) add_entry(name, NID_organizationName, o);
  add_entry(name, NID_commonName, common_name);
}

NamesPtr make_names(const std::vector<std::string>& dns_names, const std::vector<std::string>& addresses) {
  NamesPtr names(sk_GENERAL_NAME_new_null());
  for (const auto& dns : dns_names) push(names.get(), GEN_DNS, dns.data(), dns.size());
  for (const auto& address : addresses) {
    unsigned char bytes[16];
    if (::inet_pton(AF_INET, address.c_str(), bytes) == 1)
      push(names.get(), GEN_IPADD, bytes, 4);
    else if (::inet_pton(AF_INET6, address.c_str(), bytes) == 1)
      push(names.get(), GEN_IPADD, bytes, 16);
  }
  return names;
}

void read_names(const GENERAL_NAMES* names, std::vector<std::string>& dns_names, std::vector<std::string>& addresses) {
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); ++i) {
    int type = 0;
    auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type));
    const unsigned char* data = ASN1_STRING_get0_data(value);
    int size = ASN1_STRING_length(value);
    if (type == GEN_DNS) {
      dns_names.emplace_back(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    } else if (type == GEN_IPADD && (size == 4 || size == 16)) {
      char text[INET6_ADDRSTRLEN];
      if (::inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof text)) addresses.emplace_back(text);
    }
  }
}

NamesPtr names_of_request(X509_REQ* request) {
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  if (!extensions) return nullptr;
  NamesPtr names(static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return names;
}

}  // namespace lab::pki
