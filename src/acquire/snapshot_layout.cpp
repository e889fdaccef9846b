#include "acquire/snapshot_parts.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr uint64_t kSearchedAtOnce = uint64_t{1} << 20;
// Zeros of one region that are no hole in the file but absent from it: a reservation of terabytes
// must not make a file of that size.
constexpr uint64_t kLongestHole = uint64_t{64} << 20;
constexpr uint64_t kSmallRegion = uint64_t{1} << 20;  // bytes
constexpr uint64_t kNoteAlignment = 4;
constexpr uint64_t kLongestNote = uint64_t{0xffffffff};

// Saved bytes of a region that may hold anything, as the image knows.
struct Span {
  Addr at;
  Bytes bytes;
};

std::vector<Span> spans_to_search(const MemoryImage& image) {
  std::vector<Span> spans;
  for (const Region& region : image.regions()) {
    if (region.contents != Contents::Saved) continue;
    image.for_each_span(region.range, [&](Addr at, Bytes bytes) {
      while (!bytes.empty()) {
        const uint64_t to_border = (at + 1).align_up(kSearchedAtOnce) - at;
        const Bytes piece = bytes.first(std::min<uint64_t>(bytes.size(), to_border));
        spans.push_back({at, piece});
        at = at + piece.size();
        bytes = bytes.subspan(piece.size());
      }
    });
  }
  return spans;
}

// The pages of `span` that hold anything but zero, joined. `where` is its place, `bytes` what will
// be written of it.
void find_written(Addr where, Bytes bytes, std::vector<AddrRange>& found) {
  while (!bytes.empty()) {
    const uint64_t size = std::min<uint64_t>(bytes.size(), (where + 1).align_up(kPage) - where);
    if (!all_zero(bytes.first(size))) {
      if (!found.empty() && found.back().end() == where) {
        found.back() = {found.back().begin(), where + size};
      } else {
        found.push_back(AddrRange::sized(where, size));
      }
    }
    where = where + size;
    bytes = bytes.subspan(size);
  }
}

// Stretches of Saved regions that are not zero once `content` was applied, each within one region.
std::vector<AddrRange> written_stretches(const MemoryImage& image, const ContentRules& content) {
  const std::vector<Span> spans = spans_to_search(image);
  std::vector<std::vector<AddrRange>> found(spans.size());
  parallel_for(spans.size(), [&](size_t i) {
    if (!content.memory) {
      find_written(spans[i].at, spans[i].bytes, found[i]);
      return;
    }
    std::vector<std::byte> changed(spans[i].bytes.begin(), spans[i].bytes.end());
    content.memory(spans[i].at, changed);
    find_written(spans[i].at, changed, found[i]);
  });
  std::vector<AddrRange> all;
  const Region* region = nullptr;
  for (const std::vector<AddrRange>& part : found) {
    for (const AddrRange& range : part) {
      const bool same = region != nullptr && region->range.contains(range);
      if (!same) region = image.region_at(range.begin());
      if (same && all.back().end() == range.begin()) {
        all.back() = {all.back().begin(), range.end()};
      } else {
        all.push_back(range);
      }
    }
  }
  return all;
}

uint32_t flags_of(const Perms& perms) {
  return (perms.read ? PF_R : 0U) | (perms.write ? PF_W : 0U) | (perms.execute ? PF_X : 0U);
}

// One PT_LOAD: the part of a region that is in the file, or is not.
struct Load {
  AddrRange range;
  uint32_t flags = 0;
  bool in_file = false;
  bool comes_first = false;  // in the file
};

// Without the variables of the C library no heap is found. So what is small comes before the heaps:
// of a file that was cut off the end is missing. By region. Regions of the heap that touch, as where pages
// of it are protected, stay together, for blocks lie across their borders.
std::vector<bool> find_first_ones(std::span<const Region> regions) {
  std::vector<bool> first(regions.size());
  for (size_t begin = 0; begin < regions.size();) {
    size_t end = begin + 1;
    bool is_writable = regions[begin].perms.write;
    while (end < regions.size() && !regions[begin].module.valid() && !regions[end].module.valid() &&
           regions[end - 1].range.end() == regions[end].range.begin()) {
      is_writable |= regions[end].perms.write;
      ++end;
    }
    const uint64_t bytes = regions[end - 1].range.end() - regions[begin].range.begin();
    for (size_t i = begin; i < end; ++i) first[i] = is_writable && bytes <= kSmallRegion;
    begin = end;
  }
  return first;
}

// Cuts a Saved region where it is zero for long. `next` is the first stretch that may lie in it.
void add_loads(const Region& region, bool is_first, const std::vector<AddrRange>& written,
               size_t& next, std::vector<Load>& loads) {
  const uint32_t flags = flags_of(region.perms);
  if (region.contents != Contents::Saved) {
    loads.push_back({region.range, flags, false, is_first});
    return;
  }
  Addr begin = region.range.begin();  // of what is not in `loads` yet
  Addr last = begin;                  // what lies before holds something, as far as it is known
  const auto leave_out = [&](Addr end) {
    if (end - last < kLongestHole) return;
    const Addr from = last.align_up(kPage);
    if (begin < from) loads.push_back({{begin, from}, flags, true, is_first});
    loads.push_back({{from, end.align_down(kPage)}, flags, false, is_first});
    begin = end.align_down(kPage);
  };
  for (; next < written.size() && written[next].begin() < region.range.end(); ++next) {
    leave_out(written[next].begin());
    last = written[next].end();
  }
  leave_out(region.range.end());
  if (begin < region.range.end())
    loads.push_back({{begin, region.range.end()}, flags, true, is_first});
}

// Gives every load its place, those that touch side by side. One row per load, in their order.
std::vector<Elf64_Phdr> place(const std::vector<Load>& loads, uint64_t at) {
  std::vector<Elf64_Phdr> rows(loads.size());
  at = Addr(at).align_up(kPage).value;
  for (const bool first : {true, false}) {
    Addr touching(0);
    for (size_t i = 0; i < loads.size(); ++i) {
      const Load& load = loads[i];
      if (load.comes_first != first) continue;
      if (load.in_file && load.range.begin() != touching) {
        at = Addr(at).align_up(kPage).value + load.range.begin().value % kPage;
      }
      Elf64_Phdr& row = rows[i];
      row.p_type = PT_LOAD;
      row.p_flags = load.flags;
      row.p_offset = at;
      row.p_vaddr = load.range.begin().value;
      row.p_memsz = load.range.size();
      row.p_align = kPage;
      if (load.in_file) {
        row.p_filesz = load.range.size();
        at += row.p_filesz;
        touching = load.range.end();
      }
    }
  }
  return rows;
}

void put(std::vector<std::byte>& out, uint64_t at, Bytes bytes) {
  std::memcpy(out.data() + at, bytes.data(), bytes.size());
}

template <typename T>
Bytes object_bytes(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

// Where the parts of the head lie.
struct HeadPlan {
  uint64_t rows = 0;  // program headers, the note's included
  uint64_t section = 0;
  uint64_t notes = 0;
  uint64_t end = 0;

  [[nodiscard]] bool has_section() const { return rows >= PN_XNUM; }
};

HeadPlan plan_head(uint64_t loads, uint64_t note_bytes) {
  HeadPlan plan;
  plan.rows = loads + 1;
  plan.section = sizeof(Elf64_Ehdr) + plan.rows * sizeof(Elf64_Phdr);
  plan.notes = plan.section + (plan.has_section() ? sizeof(Elf64_Shdr) : 0);
  plan.end = plan.notes + note_bytes;
  return plan;
}

std::vector<std::byte> make_head(const HeadPlan& plan, const std::vector<Elf64_Phdr>& loads,
                                 Bytes notes) {
  std::vector<std::byte> head(plan.end);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(plan.has_section() ? PN_XNUM : plan.rows);
  if (plan.has_section()) {
    Elf64_Shdr section{};
    section.sh_info = static_cast<Elf64_Word>(plan.rows);
    header.e_shoff = plan.section;
    header.e_shentsize = sizeof section;
    header.e_shnum = 1;
    put(head, plan.section, object_bytes(section));
  }
  put(head, 0, object_bytes(header));
  Elf64_Phdr note{};
  note.p_type = PT_NOTE;
  note.p_offset = plan.notes;
  note.p_filesz = notes.size();
  note.p_align = kNoteAlignment;
  put(head, sizeof header, object_bytes(note));
  if (!loads.empty()) put(head, sizeof header + sizeof note, std::as_bytes(std::span(loads)));
  put(head, plan.notes, notes);
  return head;
}

std::vector<SnapshotPiece> pieces_of(const MemoryImage& image,
                                     const std::vector<AddrRange>& written,
                                     const std::vector<Elf64_Phdr>& loads) {
  std::vector<SnapshotPiece> pieces;
  size_t next = 0;
  for (const Elf64_Phdr& load : loads) {
    const auto range = AddrRange::sized(Addr(load.p_vaddr), load.p_filesz);
    for (; next < written.size() && range.contains(written[next]); ++next) {
      const auto bytes = image.view(written[next]);
      HS_CHECK(bytes.has_value());
      pieces.push_back(
          {load.p_offset + (written[next].begin() - range.begin()), written[next].begin(), *bytes});
    }
  }
  HS_CHECK(next == written.size());
  std::sort(pieces.begin(), pieces.end(),
            [](const SnapshotPiece& a, const SnapshotPiece& b) { return a.offset < b.offset; });
  return pieces;
}

// An ELF note ends at 4 GiB. What can be found out again goes first.
void make_fit(SnapshotFacts& facts) {
  constexpr uint64_t kMostOfOneRange = 20;
  if (facts.populated.size() > kLongestNote / 4 / kMostOfOneRange) facts.populated.clear();
  if (facts.hashes.size() > kLongestNote / 2 / kMostOfOneRange) facts.hashes.clear();
}

std::vector<KernelReference> only_pointers(std::vector<KernelReference> references,
                                           const ContentRules& content) {
  std::erase_if(references, [&](const KernelReference& reference) {
    return reference.kind != KernelReference::Kind::Unseen && reference.value != 0 &&
           content.word(reference.value) == 0;
  });
  return references;
}

}  // namespace

bool all_zero(Bytes bytes) {
  constexpr size_t kStep = 8 * sizeof(uint64_t);
  size_t at = 0;
  for (; at + kStep <= bytes.size(); at += kStep) {
    uint64_t words[8];
    std::memcpy(words, bytes.data() + at, kStep);
    if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) !=
        0)
      return false;
  }
  for (; at < bytes.size(); ++at) {
    if (bytes[at] != std::byte{0}) return false;
  }
  return true;
}

SnapshotLayout lay_out_snapshot(const Capture& capture, const ContentRules& content,
                                const std::string& host) {
  const MemoryImage& image = capture.image;
  const std::vector<AddrRange> written = written_stretches(image, content);
  std::vector<Load> loads;
  size_t next = 0;
  const std::vector<bool> comes_first = find_first_ones(image.regions());
  for (size_t i = 0; i < image.regions().size(); ++i)
    add_loads(image.regions()[i], comes_first[i], written, next, loads);

  SnapshotFacts facts = snapshot_facts(image, capture.facts);
  facts.capture.content = content.level;
  facts.pause_parts = capture.pause_parts;
  facts.host = host;
  facts.populated = written;
  facts.hashes = content.hashes;
  if (content.word && facts.kernel_references)
    facts.kernel_references = only_pointers(std::move(*facts.kernel_references), content);
  make_fit(facts);
  const std::vector<std::byte> notes = snapshot_notes(image, facts, content);

  const HeadPlan plan = plan_head(loads.size(), notes.size());
  const std::vector<Elf64_Phdr> rows = place(loads, plan.end);
  SnapshotLayout layout;
  layout.head = make_head(plan, rows, notes);
  layout.pieces = pieces_of(image, written, rows);
  layout.file_size = layout.head.size();
  for (const Elf64_Phdr& row : rows)
    layout.file_size =
        std::max(layout.file_size, row.p_filesz == 0 ? 0 : row.p_offset + row.p_filesz);
  for (const SnapshotPiece& piece : layout.pieces) layout.piece_bytes += piece.bytes.size();
  return layout;
}

}  // namespace heapscan
