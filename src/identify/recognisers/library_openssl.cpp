// Objects of OpenSSL, told by the table of functions they name.
//
// Sources: OpenSSL 1.1.1 and 3.0 crypto/bio/bio_local.h and include/internal/bio.h (bio_st,
// bio_method_st), ssl/ssl_local.h (ssl_st, ssl_method_st, ssl_session_st), include/openssl/bio.h.in
// (types), include/crypto/x509.h (x509_st, X509_name_st), include/openssl/asn1.h (asn1_string_st).
// Certificates and sessions begin alike in 1.1.1, 3.0 and 3.5.
#include <algorithm>
#include <array>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

bool has_functions(const FamilyInputs& inputs, Addr table,
                   std::initializer_list<uint64_t> offsets) {
  return std::all_of(offsets.begin(), offsets.end(), [&](uint64_t offset) {
    const auto function = inputs.image.read<uint64_t>(table + offset);
    return function && inputs.addresses.kind_of(*function) == WordKind::Code;
  });
}

// {type, name, write, write as before 1.1, read, …, puts, gets, ctrl, create, destroy}.
bool is_bio_method(const FamilyInputs& inputs, uint64_t address) {
  constexpr uint32_t kDescriptor = 0x100;
  constexpr uint32_t kFilter = 0x200;
  constexpr uint32_t kSourceOrSink = 0x400;
  if (!is_in_module(inputs, address)) return false;
  const auto type = inputs.image.read<uint32_t>(Addr(address));
  if (!type || (*type & 0xff) == 0 || *type >> 8 == 0 ||
      (*type & ~(0xff | kDescriptor | kFilter | kSourceOrSink)) != 0)
    return false;
  const auto name = inputs.image.read<uint64_t>(Addr(address) + 8);
  return name && is_in_module(inputs, *name) && has_functions(inputs, Addr(address), {64, 72, 80});
}

bool is_bio(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kMethodBefore3 = 0;
  constexpr uint64_t kMethod = 8;
  return is_bio_method(inputs, word(sample, kMethod)) ||
         is_bio_method(inputs, word(sample, kMethodBefore3));
}

// Of the protocol; 0x10000 where it is to be agreed on.
bool is_tls_version(uint32_t version) {
  static constexpr std::array<uint32_t, 9> kVersions = {0x300, 0x301,  0x302,  0x303,  0x304,
                                                        0x100, 0xfeff, 0xfefd, 0x10000};
  return version == 0x1ffff ||
         std::find(kVersions.begin(), kVersions.end(), version) != kVersions.end();
}

// {version, flags, mask, new, clear, free, …}.
bool is_ssl_method(const FamilyInputs& inputs, uint64_t address) {
  if (!is_in_module(inputs, address)) return false;
  const auto version = inputs.image.read<uint32_t>(Addr(address));
  return version && is_tls_version(*version) &&
         has_functions(inputs, Addr(address), {16, 24, 32, 40, 48});
}

bool is_ssl(const FamilyInputs& inputs, const Sample& sample) {
  return is_tls_version(half(sample, 0)) && half(sample, 4) == 0 &&
         is_ssl_method(inputs, word(sample, 8));
}

// Types of ASN.1's strings.
constexpr uint32_t kInteger = 2;
constexpr uint32_t kNegative = 0x100;
constexpr uint32_t kBits = 3;
constexpr uint32_t kUtcTime = 23;
constexpr uint32_t kGeneralizedTime = 24;

// A string {length, type, data, flags} that is a time: "251120100000Z".
bool is_asn1_time(const FamilyInputs& inputs, uint64_t address) {
  const auto length = inputs.image.read<uint32_t>(Addr(address));
  const auto type = inputs.image.read<uint32_t>(Addr(address) + 4);
  const auto data = inputs.image.read<uint64_t>(Addr(address) + 8);
  if (!length || !type || !data || (*type != kUtcTime && *type != kGeneralizedTime)) return false;
  if (*length < 11 || *length > 24) return false;
  std::array<char, 24> text{};
  const auto bytes = std::as_writable_bytes(std::span(text)).first(*length);
  return inputs.image.read_bytes(Addr(*data), bytes) &&
         std::all_of(text.begin(), text.begin() + 10, [](char c) { return c >= '0' && c <= '9'; });
}

// {entries, modified, {length, data} in DER, canonical form, its length}.
bool is_x509_name(const FamilyInputs& inputs, uint64_t address) {
  return room_at(inputs, address) >= 40 &&
         room_at(inputs, inputs.image.read<uint64_t>(Addr(address)).value_or(0)) != 0;
}

// {{version, serial number, algorithm, issuer, {not before, not after}, subject, key, …},
// algorithm, signature, …}; the same since 1.1.0.
bool is_certificate(const FamilyInputs& inputs, const Sample& sample) {
  const uint32_t serial = half(sample, 12);
  if ((serial & ~kNegative) != kInteger || half(sample, 0x9c) != kBits) return false;
  return is_asn1_time(inputs, word(sample, 0x38)) && is_asn1_time(inputs, word(sample, 0x40)) &&
         is_x509_name(inputs, word(sample, 0x30)) && is_x509_name(inputs, word(sample, 0x48));
}

// {version, length of the key, an early secret, the key, length of the id, the id, length of the
// context, the context, …}: what lies behind the lengths was never written.
bool is_filled_to(const Sample& sample, uint64_t begin, uint64_t length, uint64_t room) {
  if (length > room || begin + room > sample.bytes.size()) return false;
  const Bytes rest = sample.bytes.subspan(begin + length, room - length);
  return std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; });
}

// `key_room` is what the library's version keeps for the key.
bool is_session_with(const FamilyInputs& inputs, const Sample& sample, uint64_t key_room) {
  constexpr uint64_t kSecret = 0x10;
  constexpr uint64_t kKey = 0x50;
  constexpr uint64_t kIdRoom = 32;
  constexpr uint64_t kTimesWithin = 112;
  const uint64_t id = kKey + key_room + 8;
  const uint64_t context = id + kIdRoom + 8;
  const uint64_t end = context + kIdRoom;
  const uint64_t key_length = word(sample, 8);
  const uint64_t id_length = word(sample, id - 8);
  if (!is_filled_to(sample, kKey, key_length, key_room) ||
      !is_filled_to(sample, id, id_length, kIdRoom) ||
      !is_filled_to(sample, context, word(sample, context - 8), kIdRoom) ||
      (key_length == 0 && id_length == 0))
    return false;
  if (key_length == 0 && !is_filled_to(sample, kSecret, 0, kKey - kSecret)) return false;
  // When it was made.
  for (uint64_t at = end; at < end + kTimesWithin; at += 8) {
    if (inputs.addresses.kind_of(word(sample, at)) == WordKind::Time) return true;
  }
  return false;
}

bool is_session(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint32_t kFirstOfTls = 0x300;
  constexpr uint32_t kLastOfTls = 0x304;
  constexpr uint32_t kDatagrams = 0xfe00;
  const uint32_t version = half(sample, 0);
  const bool is_tls = version >= kFirstOfTls && version <= kLastOfTls;
  const bool is_datagrams = version >= kDatagrams && version <= 0xffff && is_tls_version(version);
  if ((!is_tls && !is_datagrams) || half(sample, 4) != 0) return false;
  return is_session_with(inputs, sample, 256) || is_session_with(inputs, sample, 512);
}

constexpr KnownStruct kOpensslStructs[] = {
    {"X509", "a certificate: serial number, names, and two times", 0xb0, 768, is_certificate},
    {"SSL_SESSION", "its version, and a key and ids as long as it says", 544, 1200, is_session},
    {"BIO", "the functions of its kind", 104, 168, is_bio},
    {"SSL", "its version, and the functions of its method", 4096, 9216, is_ssl},
};

}  // namespace

std::span<const KnownStruct> openssl_structs() { return kOpensslStructs; }

}  // namespace heapscan
