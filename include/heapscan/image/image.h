// The frozen process: what every door (live process, kernel core, gcore core, our own snapshot)
// leads to.
//
// A MemoryImage is made only by ImageBuilder::freeze() and never changes afterwards. Its regions
// are sorted, disjoint and not empty. Reads never fail loudly: what is not there is nullopt. No
// analysis may ask which door it came through; facts that only one door can supply are optional and
// say so.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"

namespace heapscan {

struct Perms {
  bool read = false;
  bool write = false;
  bool execute = false;
  bool shared = false;  // MAP_SHARED; a core cannot always tell
  constexpr bool operator==(const Perms&) const = default;
};

enum class Backing : uint8_t {
  Anonymous,  // no file behind it: heaps, stacks, .bss, mmap(MAP_ANONYMOUS); memfd, SysV and POSIX
              // shared memory
  File,       // a file, private or shared (Perms::shared)
  Device,     // device memory: never read
  Special,    // [vdso], [vvar], [vsyscall]
};

enum class Contents : uint8_t {
  Saved,   // the bytes are here
  Zero,    // known to read as zero: never touched
  Absent,  // not saved or not readable: unknown
};

struct Region {
  AddrRange range;
  Perms perms;
  Backing backing = Backing::Anonymous;
  Contents contents = Contents::Absent;
  ModuleId module;  // the module whose file or .bss this is; none otherwise
  uint64_t file_offset =
      0;                // bytes; of range.begin() in the file or shared object, if it is of one
  uint64_t object = 0;  // of shared memory: which one, made of device and inode; 0: not known
  std::string label;    // for people only: a path or a name the kernel gave; decides nothing
  const std::byte* bytes =
      nullptr;  // range.size() of them when Saved, null otherwise; owned by the image
};

// A loadable part of a module at its run-time place (ELF gABI PT_LOAD, whole p_memsz).
struct ModuleSegment {
  AddrRange range;
  bool writable = false;  // PF_W: also what PT_GNU_RELRO later made read-only
  bool executable = false;
};

// The initial image of a module's thread-local storage (PT_TLS).
struct TlsSegment {
  uint64_t size = 0;   // p_memsz, bytes
  uint64_t align = 1;  // p_align
};

struct Module {
  std::string path;      // as the target saw it
  std::string build_id;  // lower-case hexadecimal; empty when the file has none
  AddrRange range;       // from the lowest to the highest segment
  uint64_t bias = 0;     // run-time address minus the address in the ELF file
  std::vector<ModuleSegment> segments;
  std::optional<TlsSegment> tls;
  AddrRange dynamic;           // PT_DYNAMIC at run time; empty for a static program
  bool is_executable = false;  // the program itself

  [[nodiscard]] Addr at_run_time(FileAddr a) const { return Addr(a.value + bias); }
  [[nodiscard]] FileAddr in_file(Addr a) const { return FileAddr(a.value - bias); }
  [[nodiscard]] std::string_view file_name() const;  // the last component of path
};

// General registers in the order of struct user_regs_struct (Linux x86-64, NT_PRSTATUS).
enum class Register : uint8_t {
  R15,
  R14,
  R13,
  R12,
  Rbp,
  Rbx,
  R11,
  R10,
  R9,
  R8,
  Rax,
  Rcx,
  Rdx,
  Rsi,
  Rdi,
  OrigRax,
  Rip,
  Cs,
  Eflags,
  Rsp,
  Ss,
  FsBase,
  GsBase,
  Ds,
  Es,
  Fs,
  Gs,
};
constexpr size_t kRegisterCount = 27;
[[nodiscard]] const char* name_of(Register r);

struct Thread {
  int tid = 0;
  std::string name;  // comm; empty when unknown
  bool has_registers =
      false;  // false: it could not be stopped (an io_uring worker, say) or its note is missing
  std::array<uint64_t, kRegisterCount> registers{};
  std::vector<std::byte> xsave;  // NT_X86_XSTATE: the XSAVE area; empty when unknown
  // siginfo_t of the signal that it was about to receive, or that killed it; empty: none
  std::vector<std::byte> signal_info;

  [[nodiscard]] uint64_t reg(Register r) const { return registers[static_cast<size_t>(r)]; }
  [[nodiscard]] Addr pc() const { return Addr(reg(Register::Rip)); }
  [[nodiscard]] Addr sp() const { return Addr(reg(Register::Rsp)); }
  [[nodiscard]] Addr thread_pointer() const { return Addr(reg(Register::FsBase)); }
};

// A word the kernel holds for the program and will hand back to it. Known of a live process, and of
// a snapshot of one.
struct KernelReference {
  enum class Kind : uint8_t {
    Epoll,
    Timer,
    QueuedSignal,
    Queue,    // in a pipe or socket: somebody may read it
    IoUring,  // of a request or a completion in the rings, or a registered buffer
    Unseen,   // no word, but how many at most there are that nobody can see
  };
  Kind kind = Kind::Epoll;
  uint64_t value = 0;
  std::string detail;  // "epoll fd 7 watching fd 12"
};
[[nodiscard]] const char* name_of(KernelReference::Kind kind);

// Which pages were in memory. Known of a live process, and of a snapshot of one.
struct Residency {
  std::vector<AddrRange> resident;  // sorted, disjoint; private and shared alike
  uint64_t swapped_bytes = 0;
  uint64_t shared_bytes = 0;  // of resident: shmem and shared file pages
};

// One entry of the auxiliary vector (AT_*).
struct AuxEntry {
  uint64_t type = 0;
  uint64_t value = 0;
};

class MemoryImage {
 public:
  MemoryImage() = default;
  MemoryImage(MemoryImage&&) = default;
  MemoryImage& operator=(MemoryImage&&) = default;

  [[nodiscard]] const std::vector<Region>& regions() const { return regions_; }
  [[nodiscard]] const Column<ModuleId, Module>& modules() const { return modules_; }
  [[nodiscard]] const std::vector<Thread>& threads() const { return threads_; }
  [[nodiscard]] const std::vector<AuxEntry>& aux() const { return aux_; }
  [[nodiscard]] std::optional<uint64_t> aux(uint64_t type) const;
  // nullopt: this image cannot know them (a core).
  [[nodiscard]] const std::optional<std::vector<KernelReference>>& kernel_references() const {
    return kernel_references_;
  }
  [[nodiscard]] const std::optional<Residency>& residency() const { return residency_; }
  [[nodiscard]] const Notes& notes() const { return notes_; }

  // Writable memory of the program that should be here and is not: verdicts that could depend on it
  // are lowered. 0 when the image is complete.
  [[nodiscard]] uint64_t missing_bytes() const { return missing_bytes_; }

  // Zeros may stand for numbers that were left out (a snapshot without contents): what depends on
  // indices and counters is not known.
  [[nodiscard]] bool lacks_numbers() const { return lacks_numbers_; }

  [[nodiscard]] const Region* region_at(Addr a) const;
  // Of modules that overlap, as those of a damaged core may, the one added first.
  [[nodiscard]] const Module* module_at(Addr a) const;

  // The bytes of `range` without a copy; nullopt unless all of them are saved and contiguous here.
  // Regions that touch are contiguous when acquire laid their bytes side by side.
  [[nodiscard]] std::optional<Bytes> view(AddrRange range) const;

  // Copies [at, at + out.size()), across regions and through Zero ones; false when any byte is
  // absent.
  [[nodiscard]] bool read_bytes(Addr at, std::span<std::byte> out) const;

  template <typename T>
  [[nodiscard]] std::optional<T> read(Addr at) const {
    T value;
    if (!read_bytes(at, std::as_writable_bytes(std::span<T, 1>(&value, 1)))) return std::nullopt;
    return value;
  }
  [[nodiscard]] std::optional<Addr> read_addr(Addr at) const;
  // The NUL-terminated string at `at`, at most `limit` bytes of it; nullopt when unreadable.
  [[nodiscard]] std::optional<std::string> read_string(Addr at, size_t limit) const;

  // Calls f(Addr begin, Bytes bytes) for each stretch of saved bytes within `range` that may hold
  // anything but zero, in ascending order: Zero and Absent regions and pages known never to have
  // been touched are left out.
  template <typename F>
  void for_each_span(AddrRange range, F&& f) const {
    for (size_t i = first_span_after(range.begin()); i < spans_.size(); ++i) {
      const AddrRange part = spans_[i].range.intersect(range);
      if (spans_[i].range.begin() >= range.end()) break;
      if (part.empty()) continue;
      f(part.begin(),
        Bytes(spans_[i].bytes + (part.begin() - spans_[i].range.begin()), part.size()));
    }
  }
  // Bytes of `range` that for_each_span would visit.
  [[nodiscard]] uint64_t populated_bytes(AddrRange range) const;

 private:
  friend class ImageBuilder;
  struct Span {
    AddrRange range;
    const std::byte* bytes;
  };
  // A segment of a module, in the order of addresses. Damaged input may have modules that overlap,
  // so each row also says how far the rows up to it reach.
  struct ModuleRange {
    AddrRange range;
    ModuleId module;
    Addr reach;
  };
  [[nodiscard]] size_t first_span_after(Addr a) const;

  std::vector<Region> regions_;
  std::vector<Span> spans_;  // sorted, disjoint, maximal
  Column<ModuleId, Module> modules_;
  std::vector<ModuleRange> module_ranges_;  // sorted
  std::vector<Thread> threads_;
  std::vector<AuxEntry> aux_;
  std::optional<std::vector<KernelReference>> kernel_references_;
  std::optional<Residency> residency_;
  Notes notes_;
  uint64_t missing_bytes_ = 0;
  bool lacks_numbers_ = false;
  std::vector<MappedMemory> memory_;            // what regions point into
  std::vector<std::vector<std::byte>> copies_;  // likewise, small ones
};

// ---- how an image is made -----------------------------------------------------------------------

// Makes a MemoryImage. Doors and tests describe regions in any order; freeze() sorts them, drops
// overlaps (recorded as a note: the region added first wins) and checks what the image promises.

class ImageBuilder {
 public:
  // Keeps memory alive that regions point into.
  void keep(MappedMemory memory) { image_.memory_.push_back(std::move(memory)); }
  // Keeps a copy of `bytes` alive and returns where it lies.
  const std::byte* keep_copy(Bytes bytes);

  // A Saved region must have `bytes`; they stay owned by what was handed to keep().
  void add_region(Region region);
  // Within Saved regions, only these stretches may hold anything but zero. Called for every region
  // or for none: where nothing is said, every saved byte may. Sorted or not; may touch.
  void add_populated(AddrRange range) { populated_.push_back(range); }

  ModuleId add_module(Module module) { return image_.modules_.push_back(std::move(module)); }
  void add_thread(Thread thread) { image_.threads_.push_back(std::move(thread)); }
  void set_aux(std::vector<AuxEntry> aux) { image_.aux_ = std::move(aux); }
  void set_kernel_references(std::vector<KernelReference> references) {
    image_.kernel_references_ = std::move(references);
  }
  void set_residency(Residency residency) { image_.residency_ = std::move(residency); }
  void add_note(Note note) { image_.notes_.push_back(std::move(note)); }
  void add_missing_bytes(uint64_t bytes);
  void set_lacks_numbers() { image_.lacks_numbers_ = true; }

  [[nodiscard]] MemoryImage freeze();

 private:
  void index_modules();

  MemoryImage image_;
  std::vector<AddrRange> populated_;
};

}  // namespace heapscan
