// A core and the program's file through the whole pipeline: core, image, symbols, debug
// information, heap, verdicts, groups, names, and a report as text and as JSON, of everything and
// of one group seen from near; then the questions that a session can ask about what was found.
// Whatever the bytes are, it ends with reports or an Error.
//
// An input is: one byte of choices, one that picks the group, four with the length of the program's
// file (little-endian), that file, and the core. Random changes of such a thing mostly break it at
// the first check, so the mutator knows where words matter: headers of segments, notes, pointers,
// sizes, whole pages.
#include <elf.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <sstream>
#include <vector>

#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/report/find.h"
#include "heapscan/report/grep.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/page.h"
#include "heapscan/report/refs.h"
#include "heapscan/report/report.h"
#include "heapscan/report/whatis.h"
#include "heapscan/report/why.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"
#include "support/temp_folder.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

using namespace heapscan;

constexpr size_t kHead = 6;
constexpr size_t kProgramLengthAt = 2;

enum Choice : uint8_t {
  kReachableToo = 1,
  kAllBlocks = 2,
  kNoContent = 4,
  kColor = 8,
  kQuestions = 16
};

struct Input {
  uint8_t choices = 0;
  uint8_t group = 0;
  Bytes program;
  Bytes core;
};

Input input_of(Bytes bytes) {
  Input input;
  if (bytes.size() < kHead) return input;
  input.choices = static_cast<uint8_t>(bytes[0]);
  input.group = static_cast<uint8_t>(bytes[1]);
  const auto length = load<uint32_t>(bytes.data() + kProgramLengthAt);
  const Bytes rest = bytes.subspan(kHead);
  input.program = rest.first(std::min<size_t>(length, rest.size()));
  input.core = rest.subspan(input.program.size());
  return input;
}

// Where the program's file is laid for the core to find.
const TempFolder& sysroot() {
  static const TempFolder folder;
  return folder;
}

void check_text(const std::string& text, bool color) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    HS_CHECK(byte == '\n' || (byte >= 0x20 && byte != 0x7f) || (color && byte == 0x1b));
  }
}

template <typename Answered>
void show(const Answered& report, const Input& input) {
  const bool color = (input.choices & kColor) != 0;
  std::ostringstream text;
  render_text(report, color, text);
  check_text(text.str(), color);
  std::ostringstream json;
  render_json(report, json);
}

void report_on(const Capture& capture, const Analysis& analysis, const Input& input,
               std::optional<ClusterId> cluster) {
  ReportOptions options;
  options.command = "heapscan core fuzz";
  options.content = (input.choices & kNoContent) == 0;
  options.blocks = (input.choices & kAllBlocks) != 0 ? BlockList::All : BlockList::Lost;
  options.verbose = true;
  options.top = 1000;
  if ((input.choices & kReachableToo) != 0)
    options.kinds =
        VerdictSet{Verdict::Definite, Verdict::Possible, Verdict::Indirect, Verdict::Reachable};
  if (cluster) options.cluster = *cluster;
  const Report report = describe(capture.facts, analysis, options);
  show(report, input);
  std::ostringstream page;
  render_html(report, {std::nullopt, map_groups(analysis, report)}, page);
}

template <typename Options>
Options answer_options(const Input& input, const char* question) {
  Options options;
  options.content = (input.choices & kNoContent) == 0;
  options.verbose = true;
  options.command = std::string("heapscan ") + question + " fuzz";
  return options;
}

// A few blocks all over the heap, what lies behind them, where the first region begins, and two
// addresses that can be nowhere.
std::vector<Addr> addresses_to_ask_about(const Analysis& analysis) {
  std::vector<Addr> addresses{Addr(0), Addr(~uint64_t{0})};
  const size_t blocks = analysis.heap.blocks.size();
  const size_t step = blocks / 8 + 1;
  for (size_t i = 0; i < blocks; i += step) {
    const AddrRange block = analysis.heap.block(BlockId(i)).range();
    addresses.push_back(block.begin());
    addresses.push_back(block.end() - 1);
  }
  if (!analysis.image.regions().empty())
    addresses.push_back(analysis.image.regions().front().range.begin());
  return addresses;
}

void ask_what_holds(const Capture& capture, const Analysis& a, const Input& input) {
  auto options = answer_options<HoldsOptions>(input, "holds");
  options.fold.depth = 8;
  options.fold.most_children = 20;
  show(describe_holds(capture.facts, a, options), input);
}

void ask_where_things_are(const Capture& capture, const Analysis& analysis, const Input& input) {
  auto options = answer_options<GrepOptions>(input, "grep");
  const GrepPattern text{.is_text = true, .text = "e", .number = 0, .width = 1};
  show(describe_grep(capture.facts, analysis, text, options), input);
  for (const size_t width : {1U, 2U, 4U, 8U}) {
    const GrepPattern number{.is_text = false, .text = "", .number = 0x21, .width = width};
    show(describe_grep(capture.facts, analysis, number, options), input);
  }
  auto find = answer_options<FindOptions>(input, "find");
  find.kind = "*t*";
  find.free = true;
  find.largest_first = input.group % 2 != 0;
  show(describe_find(capture.facts, analysis, find), input);
}

void ask_questions(const Capture& capture, const Analysis& analysis, const Input& input) {
  const std::vector<Addr> addresses = addresses_to_ask_about(analysis);
  show(describe_whatis(capture.facts, analysis, addresses,
                       answer_options<WhatisOptions>(input, "whatis")),
       input);
  show(
      describe_refs(capture.facts, analysis, addresses, answer_options<RefsOptions>(input, "refs")),
      input);
  ask_where_things_are(capture, analysis, input);
  if (!analysis.holding) return;
  auto why = answer_options<WhyOptions>(input, "why");
  why.paths = 3;
  show(describe_why(capture.facts, analysis, addresses, why), input);
  ask_what_holds(capture, analysis, input);
}

void run(const Input& input) {
  const ThreadLimit one(1);
  sysroot().write("fuzz/program", input.program);
  CoreOptions core_options;
  core_options.sysroot = sysroot() / "";
  Capture capture = load_core_bytes(input.core, "fuzz", core_options, true);
  const SymbolOptions symbol_options{.debug_dirs = {}, .debuginfod = false};
  const DebugInfo debug_info = open_debug_info(capture.image, capture.files, symbol_options);
  Symbols symbols = load_symbols(capture.image, capture.files, debug_info);
  AnalysisOptions options;
  options.sites = true;
  const bool has_questions = (input.choices & kQuestions) != 0;
  if (has_questions) options.holding = HoldingWanted::Always;
  if ((input.choices & kReachableToo) != 0) options.clustered.add(Verdict::Reachable);
  const Analysis analysis =
      analyze(std::move(capture.image), std::move(symbols), debug_info, options);
  report_on(capture, analysis, input, std::nullopt);
  const size_t groups = analysis.clusters.rows.size();
  if (groups != 0) report_on(capture, analysis, input, ClusterId(input.group % groups));
  if (has_questions) ask_questions(capture, analysis, input);
}

// ---- the mutator

using Random = std::mt19937_64;

class Mutator {
 public:
  Mutator(std::vector<uint8_t>& bytes, uint64_t seed) : bytes_(bytes), random_(seed) {
    const auto length = word32(kProgramLengthAt);
    core_ = kHead + std::min<size_t>(length, bytes.size() - kHead);
    if (bytes_.size() - core_ < sizeof(Elf64_Ehdr)) return;
    const auto header = at<Elf64_Ehdr>(core_);
    for (size_t i = 0; i < header.e_phnum; ++i) {
      const uint64_t place = core_ + header.e_phoff + i * sizeof(Elf64_Phdr);
      if (place >= bytes_.size() || bytes_.size() - place < sizeof(Elf64_Phdr)) break;
      headers_.push_back(place);
      const auto segment = at<Elf64_Phdr>(place);
      const bool has_words = segment.p_offset < bytes_.size() - core_ &&
                             segment.p_filesz <= bytes_.size() - core_ - segment.p_offset &&
                             segment.p_filesz >= 16;
      if (!has_words) continue;
      (segment.p_type == PT_NOTE ? notes_ : segments_).push_back(segment);
    }
  }

  void mutate(size_t most) {
    if (headers_.empty() || segments_.empty()) return;
    switch (random_() % 10) {
      case 0:
        return change_headers();
      case 1:
        return let_segments_overlap();
      case 2:
        return add_headers(most);
      case 3:
        return change_words(notes_, 20);
      case 4:
        return swap_pointers();
      case 5:
        return copy_page();
      case 6:
        return fill();
      case 7:
        bytes_[random_() % 2] = static_cast<uint8_t>(random_());
        return change_words(segments_, 100);
      default:
        return change_words(segments_, 100);
    }
  }

 private:
  template <typename T>
  T at(size_t place) const {
    T value;
    std::memcpy(&value, bytes_.data() + place, sizeof value);
    return value;
  }
  template <typename T>
  void put(size_t place, const T& value) {
    std::memcpy(bytes_.data() + place, &value, sizeof value);
  }
  [[nodiscard]] uint32_t word32(size_t place) const { return at<uint32_t>(place); }
  const Elf64_Phdr& any(const std::vector<Elf64_Phdr>& of) { return of[random_() % of.size()]; }
  // A word of one of the segments, as a place in the input.
  size_t any_word(const std::vector<Elf64_Phdr>& of) {
    const Elf64_Phdr& segment = any(of);
    return core_ + segment.p_offset + random_() % (segment.p_filesz / 8) * 8;
  }
  size_t any_written_word(const std::vector<Elf64_Phdr>& of) {
    size_t word = any_word(of);
    for (int i = 0; i < 200 && at<uint64_t>(word) == 0; ++i) word = any_word(of);
    return word;
  }

  // What a size or an address is when it is wrong.
  uint64_t wrong(uint64_t right) {
    constexpr auto kEdges = std::to_array<uint64_t>(
        {0, 1, 7, 8, 0x10, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, uint64_t{1} << 32,
         (uint64_t{1} << 47) - 1, uint64_t{1} << 47, uint64_t{1} << 60, uint64_t{1} << 63,
         ~uint64_t{0}, ~uint64_t{7}, ~uint64_t{4095}});
    switch (random_() % 8) {
      case 0:
      case 1:
        return kEdges[random_() % kEdges.size()];
      case 2:
        return right + 1;
      case 3:
        return right - random_() % 64;
      case 4:
        return right ^ uint64_t { 1 } << random_() % 64;
      case 5:
        return right ^ (random_() & 0xff8);
      case 6:
        return uint64_t{1} << random_() % 64;
      default:
        return right * (random_() % 5) + random_() % 3;
    }
  }

  void change_headers() {
    for (uint64_t n = 1 + random_() % 6; n != 0; --n) {
      const size_t place = headers_[random_() % headers_.size()];
      auto header = at<Elf64_Phdr>(place);
      uint64_t* const fields[] = {&header.p_offset, &header.p_vaddr, &header.p_filesz,
                                  &header.p_memsz, &header.p_align};
      uint64_t& field = *fields[random_() % std::size(fields)];
      field = wrong(field);
      if (random_() % 8 == 0) header.p_flags = static_cast<uint32_t>(random_());
      put(place, header);
    }
  }
  void let_segments_overlap() {
    for (uint64_t n = 1 + random_() % 5; n != 0; --n) {
      const size_t place = headers_[random_() % headers_.size()];
      auto header = at<Elf64_Phdr>(place);
      const auto other = at<Elf64_Phdr>(headers_[random_() % headers_.size()]);
      switch (random_() % 3) {
        case 0:
          header.p_vaddr = other.p_vaddr + random_() % 3 * 4096;
          break;
        case 1:
          header.p_offset = other.p_offset;
          break;
        default:
          header.p_memsz = uint64_t{1} << random_() % 64;
      }
      put(place, header);
    }
  }
  // Thousands of segments, most of which claim what is not there.
  void add_headers(size_t most) {
    const size_t room = (most - std::min(most, bytes_.size())) / sizeof(Elf64_Phdr);
    const size_t count = std::min<size_t>({room, 0xfffe, 16 + random_() % 8192});
    if (count == 0) return;
    auto header = at<Elf64_Ehdr>(core_);
    header.e_phoff = bytes_.size() - core_;
    header.e_phnum = static_cast<uint16_t>(count);
    put(core_, header);
    for (size_t i = 0; i < count; ++i) {
      auto copy = at<Elf64_Phdr>(headers_[random_() % headers_.size()]);
      if (random_() % 3 == 0) copy.p_vaddr += i * 4096;
      if (random_() % 5 == 0) copy.p_memsz = random_() >> random_() % 64;
      const auto* const begin = reinterpret_cast<const uint8_t*>(&copy);
      bytes_.insert(bytes_.end(), begin, begin + sizeof copy);
    }
  }
  void change_words(const std::vector<Elf64_Phdr>& of, uint64_t most) {
    if (of.empty()) return;
    for (uint64_t n = 1 + random_() % most; n != 0; --n) {
      const size_t word = any_written_word(of);
      put(word, wrong(at<uint64_t>(word)));
    }
  }
  void swap_pointers() {
    for (uint64_t n = 1 + random_() % 100; n != 0; --n) {
      const size_t word = any_written_word(segments_);
      const uint64_t other = at<uint64_t>(any_written_word(segments_));
      const uint64_t moved = random_() % 4 == 0 ? random_() % 9 * 8 - 32 : 0;
      put(word, other + moved);
    }
  }
  void copy_page() {
    const Elf64_Phdr from = any(segments_);
    const Elf64_Phdr to = any(segments_);
    const size_t size = std::min<size_t>({4096, from.p_filesz, to.p_filesz});
    std::memmove(bytes_.data() + core_ + to.p_offset, bytes_.data() + core_ + from.p_offset, size);
  }
  void fill() {
    const Elf64_Phdr segment = any(segments_);
    const size_t begin = random_() % segment.p_filesz;
    const size_t size = random_() % (segment.p_filesz - begin) + 1;
    constexpr auto kBytes = std::to_array<int>({0, 0xff, 0x41, 0x80, 0x21});
    std::memset(bytes_.data() + core_ + segment.p_offset + begin, kBytes[random_() % kBytes.size()],
                size);
  }

  std::vector<uint8_t>& bytes_;
  Random random_;
  size_t core_ = 0;
  std::vector<size_t> headers_;  // places of the program headers
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Phdr> notes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    run(input_of(Bytes(reinterpret_cast<const std::byte*>(data), size)));
  } catch (const Error&) {
    // Refusing is an answer.
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  if (size < kHead || seed % 4 == 0) return LLVMFuzzerMutate(data, size, most);
  const size_t program = std::min<size_t>(
      load<uint32_t>(reinterpret_cast<const std::byte*>(data) + kProgramLengthAt), size - kHead);
  // The program's file keeps its length, so that the core stays where it is.
  if (seed % 4 == 1 && program != 0) {
    std::vector<uint8_t> file(data + kHead, data + kHead + program);
    const size_t made = LLVMFuzzerMutate(file.data(), program, program);
    std::memcpy(data + kHead, file.data(), made);
    return size;
  }
  std::vector<uint8_t> bytes(data, data + size);
  Mutator(bytes, seed).mutate(most);
  std::memcpy(data, bytes.data(), std::min(bytes.size(), most));
  return std::min(bytes.size(), most);
}
