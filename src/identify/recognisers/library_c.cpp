// What else the C library hands out.
//
// Sources, all glibc, x86-64: resolv/netdb.h and nss/getaddrinfo.c (a sockaddr follows its
// addrinfo), iconv/gconv.h, locale/bits/types/__locale_t.h, posix/regex.h and regex_internal.h,
// sysdeps/unix/sysv/linux/ifaddrs.c (the first of the interfaces is where the block begins).
#include <array>
#include <bit>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

bool is_address_info(const FamilyInputs&, const Sample& sample) {
  constexpr uint64_t kSize = 48;
  const uint32_t family = half(sample, 4);
  const uint32_t length = half(sample, 16);
  const bool is_known = (family == 2 && length == 16) || (family == 10 && length == 28);
  return is_known && word(sample, 24) == sample.begin.value + kSize &&
         read_at<uint16_t>(sample.bytes, kSize) == family;
}

// Each step's conversion state is inside the descriptor itself.
bool is_iconv(const FamilyInputs&, const Sample& sample) {
  constexpr uint64_t kHeader = 16;
  constexpr uint64_t kStepSize = 48;
  constexpr uint64_t kMostSteps = 8;
  const uint64_t steps = word(sample, 0);
  if (steps == 0 || steps > kMostSteps || !fills(kHeader + kStepSize * steps, sample.size))
    return false;
  for (uint64_t i = 0; i < steps; ++i) {
    const uint64_t step = kHeader + kStepSize * i;
    if (word(sample, step + 32) != sample.begin.value + step + 40) return false;
  }
  return true;
}

// Thirteen tables of which the one of LC_ALL is missing, three tables of ctype, thirteen names.
bool is_locale(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kCategories = 13;
  constexpr uint64_t kAll = 6;
  constexpr uint64_t kCtypes = 8 * kCategories;
  constexpr uint64_t kNames = kCtypes + 24;
  for (uint64_t i = 0; i < kCategories; ++i) {
    const uint64_t table = word(sample, 8 * i);
    const uint64_t name = word(sample, kNames + 8 * i);
    if (i == kAll) {
      if (table != 0) return false;
    } else if (!is_pointer(inputs.addresses.kind_of(table)) ||
               !is_pointer(inputs.addresses.kind_of(name))) {
      return false;
    }
  }
  for (uint64_t offset = kCtypes; offset < kNames; offset += 8) {
    const WordKind kind = inputs.addresses.kind_of(word(sample, offset));
    if (!is_module_pointer(kind) && !is_block_pointer(kind) && kind != WordKind::Mapped)
      return false;
  }
  return true;
}

// The compiled form behind a regex_t: its arrays are as long as it says.
bool is_regular_expression(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kNode = 16;
  constexpr uint64_t kState = 16;
  constexpr uint64_t kWideState = 24;  // where indices have 64 bits
  const uint64_t allocated = word(sample, 8);
  const uint64_t states = uint64_t{half(sample, 132)} + 1;
  const uint32_t longest_character = half(sample, 164);
  const uint64_t table = size_of_block_at(inputs, word(sample, 64));
  return allocated != 0 && allocated < 1U << 28 && word(sample, 16) <= allocated &&
         std::has_single_bit(states) && longest_character >= 1 && longest_character <= 16 &&
         (fills(states * kState, table) || fills(states * kWideState, table)) &&
         size_of_block_at(inputs, word(sample, 0)) >= allocated * kNode;
}

// {its compiled form, how much was allocated for it, how much is used, syntax, map of first bytes}.
bool is_compiled_pattern(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kMap = 256;
  const uint64_t allocated = word(sample, 8);
  const uint64_t map = word(sample, 32);
  return allocated >= 192 && allocated <= 320 && word(sample, 16) == allocated &&
         fills(allocated, size_of_block_at(inputs, word(sample, 0))) &&
         (map == 0 || fills(kMap, size_of_block_at(inputs, map)));
}

// {next, name, flags, address, …} of each interface, three addresses, the name. What has no name of
// its own has another one's.
bool is_list_of_interfaces(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kMostInterfaces = 4096;
  constexpr uint64_t kName = 56 + 3 * 36;
  constexpr uint64_t kInterface = 184;
  const Addr end = sample.begin + sample.size;
  Addr entry = sample.begin;
  for (uint64_t i = 0; i < kMostInterfaces; ++i) {
    const auto next = inputs.image.read_addr(entry);
    const auto name = inputs.image.read_addr(entry + 8);
    if (!next || !name || *name < sample.begin + kName || *name >= end) return false;
    if ((*name - (sample.begin + kName)) % kInterface != 0) return false;
    if (next->is_null()) return true;
    if (*next <= entry || *next >= end) return false;
    entry = *next;
  }
  return false;
}

constexpr KnownStruct kCLibraryStructs[] = {
    {"struct addrinfo", "it points to the socket address that follows it", 48 + 16,
     48 + 28 + kBlockSlack, is_address_info},
    {"iconv_t", "every step points to its own state", 16 + 48, 16 + 8 * 48 + kBlockSlack, is_iconv},
    {"locale_t", "it has the tables and names of a locale", 232, 4096, is_locale},
    {"regex_t (re_dfa_t)", "its arrays are as long as it says", 224, 232 + kBlockSlack,
     is_regular_expression},
    {"regex_t", "its compiled form is as long as it says", 64, 64 + kBlockSlack,
     is_compiled_pattern},
    {"struct ifaddrs", "every interface points to what follows it", 176, 1 << 20,
     is_list_of_interfaces},
};

}  // namespace

std::span<const KnownStruct> c_library_structs() { return kCLibraryStructs; }

}  // namespace heapscan
