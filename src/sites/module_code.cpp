#include "sites/module_code.h"

#include <elf.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "sites/code_references.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostCodeBytes = uint64_t{512} << 20;  // of one module
constexpr uint64_t kLongestFunction = uint64_t{1} << 20;  // bytes; more is a hole between functions
constexpr size_t kMostFunctions = size_t{1} << 22;

std::vector<ModuleCode::Span> code_spans(const MemoryImage& image, const Module& module) {
  std::vector<ModuleCode::Span> spans;
  uint64_t total = 0;
  for (const ModuleSegment& segment : module.segments) {
    if (!segment.executable) continue;
    image.for_each_span(segment.range, [&](Addr begin, Bytes bytes) {
      if (total >= kMostCodeBytes) return;
      spans.push_back(
          {begin, bytes.first(std::min<uint64_t>(bytes.size(), kMostCodeBytes - total))});
      total += spans.back().bytes.size();
    });
  }
  std::sort(spans.begin(), spans.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  return spans;
}

// The program header PT_GNU_EH_FRAME of a module whose first page is in the image.
std::optional<AddrRange> frame_table_of(const MemoryImage& image, const Module& module) {
  const Addr base = module.range.begin();
  const auto header = image.read<Elf64_Ehdr>(base);
  if (!header || header->e_phentsize != sizeof(Elf64_Phdr)) return std::nullopt;
  for (uint16_t i = 0; i < header->e_phnum; ++i) {
    const auto entry =
        image.read<Elf64_Phdr>(base + header->e_phoff + uint64_t{i} * sizeof(Elf64_Phdr));
    if (!entry) return std::nullopt;
    if (entry->p_type != PT_GNU_EH_FRAME) continue;
    return AddrRange::sized(module.at_run_time(FileAddr(entry->p_vaddr)), entry->p_memsz);
  }
  return std::nullopt;
}

// Length of the code that an entry of .eh_frame describes, whose encoding of pointers is that which
// every x86-64 compiler writes: pc-relative, four bytes signed. 0 when that cannot be it.
uint64_t described_length(const MemoryImage& image, Addr entry, Addr function) {
  const auto length = image.read<uint32_t>(entry);
  if (!length || *length < 16 || *length == 0xffffffff) return 0;
  const auto begin = image.read<int32_t>(entry + 8);
  const auto size = image.read<uint32_t>(entry + 12);
  if (!begin || !size) return 0;
  const Addr described(entry.value + 8 + static_cast<uint64_t>(int64_t{*begin}));
  return described == function ? *size : 0;
}

// The binary search table of .eh_frame_hdr in the form that linkers write: entries of two offsets
// from the table's begin, four bytes signed each.
std::vector<AddrRange> functions_of_frames(const MemoryImage& image, const Module& module) {
  constexpr uint8_t kSignedFourBytes = 0x0b;
  constexpr uint8_t kFromTable = 0x30;
  std::vector<AddrRange> functions;
  const auto table = frame_table_of(image, module);
  if (!table || table->size() < 12) return functions;
  const auto head = image.read<uint32_t>(table->begin());
  const auto count = image.read<uint32_t>(table->begin() + 8);
  if (!head || !count || (*head & 0xff) != 1 || *head >> 24 != (kFromTable | kSignedFourBytes)) {
    return functions;
  }
  const size_t rows = std::min<uint64_t>({*count, (table->size() - 12) / 8, kMostFunctions});
  functions.reserve(rows);
  for (size_t i = 0; i < rows; ++i) {
    const auto row = image.read<std::array<int32_t, 2>>(table->begin() + 12 + 8 * i);
    if (!row) break;
    const auto at = [&](int32_t offset) {
      return Addr(table->begin().value + static_cast<uint64_t>(int64_t{offset}));
    };
    const Addr begin = at((*row)[0]);
    const uint64_t length = described_length(image, at((*row)[1]), begin);
    if (length != 0) functions.push_back(AddrRange::sized(begin, length));
  }
  return functions;
}

// Sorted and cut so that none reaches into the next.
void make_disjoint(std::vector<AddrRange>& functions) {
  std::sort(functions.begin(), functions.end());
  functions.erase(std::unique(functions.begin(), functions.end(),
                              [](AddrRange a, AddrRange b) { return a.begin() == b.begin(); }),
                  functions.end());
  for (size_t i = 0; i + 1 < functions.size(); ++i) {
    if (functions[i].end() > functions[i + 1].begin()) {
      functions[i] = AddrRange(functions[i].begin(), functions[i + 1].begin());
    }
  }
}

// For code that no frame describes: from each target of a call, and each target of a jump that has a
// name, to the next.
void add_undescribed(std::vector<AddrRange>& functions, const std::vector<ModuleCode::Span>& spans,
                     const Symbols& symbols, const std::vector<CodeReference>& references,
                     const std::vector<CodeReference>& short_jumps) {
  std::vector<Addr> begins;
  const auto described = [&](Addr a) {
    const auto after = std::upper_bound(functions.begin(), functions.end(), a,
                                        [](Addr x, AddrRange f) { return x < f.begin(); });
    return after != functions.begin() && std::prev(after)->contains(a);
  };
  const auto add_target_of = [&](const CodeReference& r) {
    if (r.kind != ReferenceKind::Call && r.kind != ReferenceKind::Jump) return;
    if (described(r.target)) return;
    const auto symbol = symbols.ref_at(r.target);
    const bool is_inside = symbol && symbol->size != 0 && symbol->offset != 0;
    const bool is_named = symbol && symbol->offset == 0;
    if (r.kind == ReferenceKind::Call ? !is_inside : is_named) begins.push_back(r.target);
  };
  for (const CodeReference& r : references) add_target_of(r);
  for (const CodeReference& r : short_jumps) add_target_of(r);
  std::sort(begins.begin(), begins.end());
  begins.erase(std::unique(begins.begin(), begins.end()), begins.end());
  std::vector<AddrRange> more;
  for (size_t i = 0; i < begins.size(); ++i) {
    for (const ModuleCode::Span& span : spans) {
      if (begins[i] < span.begin || begins[i] >= span.end()) continue;
      const Addr next = i + 1 < begins.size() ? begins[i + 1] : span.end();
      const Addr end = std::min({next, span.end(), begins[i] + kLongestFunction});
      more.emplace_back(begins[i], end);
    }
  }
  functions.insert(functions.end(), more.begin(), more.end());
  make_disjoint(functions);
}

bool is_begin(const std::vector<AddrRange>& functions, Addr at) {
  const auto function = std::lower_bound(functions.begin(), functions.end(), at,
                                         [](AddrRange f, Addr a) { return f.begin() < a; });
  return function != functions.end() && function->begin() == at;
}

}  // namespace

AddrRange ModuleCode::function_at(Addr code) const {
  const auto after = std::upper_bound(functions.begin(), functions.end(), code,
                                      [](Addr a, AddrRange f) { return a < f.begin(); });
  if (after == functions.begin() || !std::prev(after)->contains(code)) return {};
  return *std::prev(after);
}

Bytes ModuleCode::bytes_of(AddrRange range) const {
  const auto after = std::upper_bound(spans.begin(), spans.end(), range.begin(),
                                      [](Addr a, const Span& s) { return a < s.begin; });
  if (after == spans.begin()) return {};
  const Span& span = *std::prev(after);
  return slice(span.bytes, range.begin() - span.begin, range.size()).value_or(Bytes());
}

std::span<const CodeReference> ModuleCode::references_to(Addr target) const {
  const auto [first, last] = std::equal_range(
      references.begin(), references.end(), CodeReference{target, Addr(), ReferenceKind::Call},
      [](const CodeReference& a, const CodeReference& b) { return a.target < b.target; });
  return {first, last};
}

ModuleCode read_module_code(const MemoryImage& image, const Symbols& symbols, ModuleId id) {
  const Module& module = image.modules()[id];
  ModuleCode code;
  code.module = id;
  code.spans = code_spans(image, module);
  std::vector<CodeReference> short_jumps;
  for (const ModuleCode::Span& span : code.spans) {
    find_references(module.range, span.begin, span.bytes, code.references, short_jumps);
  }
  code.functions = functions_of_frames(image, module);
  make_disjoint(code.functions);
  add_undescribed(code.functions, code.spans, symbols, code.references, short_jumps);
  std::copy_if(short_jumps.begin(), short_jumps.end(), std::back_inserter(code.references),
               [&](const CodeReference& jump) { return is_begin(code.functions, jump.target); });
  sort_references(module.range, code.references);
  return code;
}

void leave_out_from(Addr begin, ModuleCode& code) {
  std::erase_if(code.functions, [&](AddrRange f) { return f.begin() >= begin; });
  std::erase_if(code.references, [&](const CodeReference& r) { return r.from >= begin; });
}

}  // namespace heapscan
