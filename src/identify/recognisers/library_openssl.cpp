// Objects of OpenSSL, told by the table of functions they name.
//
// Sources: OpenSSL 1.1.1 and 3.0 crypto/bio/bio_local.h and include/internal/bio.h (bio_st,
// bio_method_st), ssl/ssl_local.h (ssl_st, ssl_method_st), include/openssl/bio.h.in (types).
#include <algorithm>
#include <array>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

bool is_in_module(const Inputs& inputs, uint64_t address) {
  const WordKind kind = inputs.addresses.kind_of(address);
  return kind == WordKind::Constant || kind == WordKind::Data;
}

bool has_functions(const Inputs& inputs, Addr table, std::initializer_list<uint64_t> offsets) {
  return std::all_of(offsets.begin(), offsets.end(), [&](uint64_t offset) {
    const auto function = inputs.image.read<uint64_t>(table + offset);
    return function && inputs.addresses.kind_of(*function) == WordKind::Code;
  });
}

// {type, name, write, write as before 1.1, read, …, puts, gets, ctrl, create, destroy}.
bool is_bio_method(const Inputs& inputs, uint64_t address) {
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

bool is_bio(const Inputs& inputs, const Sample& sample) {
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
bool is_ssl_method(const Inputs& inputs, uint64_t address) {
  if (!is_in_module(inputs, address)) return false;
  const auto version = inputs.image.read<uint32_t>(Addr(address));
  return version && is_tls_version(*version) &&
         has_functions(inputs, Addr(address), {16, 24, 32, 40, 48});
}

bool is_ssl(const Inputs& inputs, const Sample& sample) {
  return is_tls_version(half(sample, 0)) && half(sample, 4) == 0 &&
         is_ssl_method(inputs, word(sample, 8));
}

constexpr KnownStruct kOpensslStructs[] = {
    {"BIO", "the functions of its kind", 104, 168, is_bio},
    {"SSL", "its version, and the functions of its method", 4096, 9216, is_ssl},
};

}  // namespace

std::span<const KnownStruct> openssl_structs() { return kOpensslStructs; }

}  // namespace heapscan
