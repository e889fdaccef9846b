// Structs of libraries that are in many programs.
//
// Sources: apr include/apr_allocator.h and memory/unix/apr_pools.c (apr_memnode_t); zlib inflate.h,
// deflate.h and zlib.h (z_stream::state at +56), 1.2.9 to 1.3; curl lib/urldata.h,
// lib/multihandle.h and lib/curl_share.h (magic numbers); libxml2 include/libxml/tree.h (the fields
// all nodes have in common), 2.6 to 2.13.
#include <algorithm>
#include <array>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

// {next, ref, index, free_index, first_avail, endp}: whole pages, used from the front.
bool is_apr_node(const Inputs&, const Sample& sample) {
  constexpr uint64_t kHeader = 40;
  const uint64_t begin = sample.begin.value;
  const uint64_t available = word(sample, 24);
  const uint64_t end = word(sample, 32);
  return end == begin + (uint64_t{half(sample, 16)} + 1) * kPage && available >= begin + kHeader &&
         available <= end && fills(end - begin, sample.size);
}

// The stream it belongs to points back at it, where that is still there.
bool is_of_stream(const Inputs& inputs, const Sample& sample) {
  constexpr uint64_t kStateOfStream = 56;
  const uint64_t stream = word(sample, 0);
  return stream != 0 && inputs.image.read_addr(Addr(stream) + kStateOfStream) == sample.begin;
}

// The state points back at its stream.
bool is_stream(const Inputs& inputs, const Sample& sample) {
  const uint64_t state = word(sample, 56);
  return inputs.addresses.kind_of(state) == WordKind::BlockStart &&
         inputs.image.read_addr(Addr(state)) == sample.begin &&
         inputs.addresses.kind_of(word(sample, 64)) == WordKind::Code &&
         inputs.addresses.kind_of(word(sample, 72)) == WordKind::Code;
}

bool is_inflate_state(const Inputs& inputs, const Sample& sample) {
  constexpr uint32_t kFirstMode = 16'180;
  constexpr uint32_t kLastMode = 16'211;
  const uint32_t mode = half(sample, 8);
  return mode >= kFirstMode && mode <= kLastMode && is_of_stream(inputs, sample);
}

bool is_deflate_state(const Inputs& inputs, const Sample& sample) {
  static constexpr std::array<uint32_t, 8> kStatuses = {42, 57, 69, 73, 91, 103, 113, 666};
  return std::find(kStatuses.begin(), kStatuses.end(), half(sample, 8)) != kStatuses.end() &&
         inputs.addresses.kind_of(word(sample, 16)) == WordKind::BlockStart &&
         is_of_stream(inputs, sample);
}

template <uint32_t kMagic>
bool begins_with(const Inputs&, const Sample& sample) {
  return half(sample, 0) == kMagic;
}

constexpr uint64_t kXmlType = 8;
constexpr uint64_t kXmlDocument = 64;

bool is_xml_document_type(uint32_t type) { return type == 9 || type == 13; }

bool is_xml_document(const Inputs&, const Sample& sample) {
  return is_xml_document_type(half(sample, kXmlType)) &&
         word(sample, kXmlDocument) == sample.begin.value;
}

bool belongs_to_xml_document(const Inputs& inputs, const Sample& sample) {
  const Addr document(word(sample, kXmlDocument));
  if (document.is_null() || !document.is_aligned(8)) return false;
  const auto type = inputs.image.read<uint32_t>(document + kXmlType);
  return type && is_xml_document_type(*type) &&
         inputs.image.read_addr(document + kXmlDocument) == document;
}

bool is_xml_node(const Inputs& inputs, const Sample& sample) {
  static constexpr std::array<uint32_t, 7> kTypes = {1, 3, 4, 5, 7, 8, 11};
  return std::find(kTypes.begin(), kTypes.end(), half(sample, kXmlType)) != kTypes.end() &&
         belongs_to_xml_document(inputs, sample);
}

bool is_xml_attribute(const Inputs& inputs, const Sample& sample) {
  return half(sample, kXmlType) == 2 && belongs_to_xml_document(inputs, sample);
}

constexpr KnownStruct kOtherStructs[] = {
    {"apr_memnode_t", "it knows its own end, in whole pages", 8192, kAnySize, is_apr_node},
    {"struct inflate_state", "its mode, and the stream that points back", 6800, 7600,
     is_inflate_state},
    {"struct z_stream_s", "the state that points back", 112, 112 + kBlockSlack, is_stream},
    {"struct internal_state", "its status, and the stream that points back", 5600, 6400,
     is_deflate_state},
    {"struct Curl_easy", "its magic number", 1024, 32768, begins_with<0xc0dedbad>},
    {"struct Curl_multi", "its magic number", 128, 8192, begins_with<0x000bab1e>},
    {"struct Curl_share", "its magic number", 64, 8192, begins_with<0x7e117a1e>},
    {"struct _xmlDoc", "a document that names itself", 160, 256, is_xml_document},
    {"struct _xmlNode", "its type, and the document it names", 104, 144, is_xml_node},
    {"struct _xmlAttr", "its type, and the document it names", 88, 128, is_xml_attribute},
};

}  // namespace

std::span<const KnownStruct> other_structs() { return kOtherStructs; }

}  // namespace heapscan
