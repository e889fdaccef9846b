// Structs of libraries that are in many programs.
//
// Sources: apr include/apr_allocator.h and memory/unix/apr_pools.c (apr_memnode_t); curl
// lib/urldata.h, lib/multihandle.h and lib/curl_share.h (magic numbers); json-c
// json_object_private.h, 0.13 to 0.18.
#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

// {next, ref, index, free_index, first_avail, endp}: whole pages, used from the front.
bool is_apr_node(const FamilyInputs&, const Sample& sample) {
  constexpr uint64_t kHeader = 40;
  const uint64_t begin = sample.begin.value;
  const uint64_t available = word(sample, 24);
  const uint64_t end = word(sample, 32);
  return end == begin + (uint64_t{half(sample, 16)} + 1) * kPage && available >= begin + kHeader &&
         available <= end && fills(end - begin, sample.size);
}

template <uint32_t kMagic>
bool begins_with(const FamilyInputs&, const Sample& sample) {
  return half(sample, 0) == kMagic;
}

// {type, references, function that writes it as text, its buffer, function for and pointer to what
// a user added, …}; before 0.14 {type, destructor, writer, references, …}. The writer is the
// library's own, one for every type, unless the caller replaced it.
bool is_json_function(const FamilyInputs& inputs, uint64_t address) {
  if (!is_code(inputs, address)) return false;
  const Module* const module = inputs.image.module_at(Addr(address));
  if (module != nullptr && module->file_name().starts_with("libjson-c.so")) return true;
  const auto symbol = inputs.symbols.ref_at(Addr(address));
  return symbol && symbol->offset == 0 && symbol->name.starts_with("json_object_");
}

bool is_json_object(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint32_t kLastType = 6;
  constexpr uint32_t kMostReferences = 1 << 20;
  const uint32_t type = half(sample, 0);
  if (type == 0 || type > kLastType) return false;
  const uint32_t references = half(sample, 4);
  if (is_json_function(inputs, word(sample, 8)) && references != 0)
    return references <= kMostReferences &&
           (word(sample, 24) == 0 || is_code(inputs, word(sample, 24)));
  const uint32_t older = half(sample, 24);
  return is_json_function(inputs, word(sample, 8)) && is_json_function(inputs, word(sample, 16)) &&
         older != 0 && older <= kMostReferences;
}

constexpr KnownStruct kOtherStructs[] = {
    {"apr_memnode_t", "it knows its own end, in whole pages", 8192, kAnySize, is_apr_node},
    {"struct Curl_easy", "its magic number", 1024, 32768, begins_with<0xc0dedbad>},
    {"struct Curl_multi", "its magic number", 128, 8192, begins_with<0x000bab1e>},
    {"struct Curl_share", "its magic number", 64, 8192, begins_with<0x7e117a1e>},
    {"json_object", "its type, and json-c's functions for it", 48, kAnySize, is_json_object},
};

}  // namespace

std::span<const KnownStruct> other_structs() { return kOtherStructs; }

}  // namespace heapscan
