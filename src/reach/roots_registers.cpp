// Vector registers lie scattered over the XSAVE area: the low 16 bytes of registers 0 to 15 in its
// legacy part, their upper halves in the AVX part, the upper 32 bytes in another, registers 16 to
// 31 whole in a last one. A part that XSTATE_BV does not name holds nothing. Where the parts lie is
// the processor's choice; the two layouts that exist are told apart by the area's size. Source:
// Intel SDM vol. 1 ch. 13; Linux writes the standard, not the compacted format.
#include "reach/root_sources.h"

#include <array>
#include <string>

namespace heapscan {

namespace {

constexpr uint64_t kXmm = 160;
constexpr uint64_t kLegacySize = 512;
constexpr uint64_t kXstateBv = 512;
constexpr uint64_t kAvx = 576;

struct Avx512Layout {
  uint64_t masks;    // k0 to k7, 8 bytes each
  uint64_t upper;    // of registers 0 to 15, 32 bytes each
  uint64_t further;  // registers 16 to 31, 64 bytes each
};
constexpr Avx512Layout kWithMpx{1088, 1152, 1664};
// Processors that never had MPX close the gap; their areas end with protection keys at 2432.
constexpr Avx512Layout kWithoutMpx{832, 896, 1408};
constexpr uint64_t kLargestWithoutMpx = 2440;

enum Feature : uint64_t {
  kSse = 1 << 1,
  kAvxUpper = 1 << 2,
  kMasks = 1 << 5,
  kUpper = 1 << 6,
  kFurther = 1 << 7
};

constexpr std::array kGeneral = {
    Register::Rax, Register::Rbx, Register::Rcx, Register::Rdx, Register::Rsi, Register::Rdi,
    Register::Rbp, Register::Rsp, Register::R8,  Register::R9,  Register::R10, Register::R11,
    Register::R12, Register::R13, Register::R14, Register::R15, Register::Rip,
};

struct Part {
  Feature feature;
  uint64_t offset;
  uint64_t registers;
  uint64_t bytes;  // of each
  const char* prefix;
  uint64_t first;  // number of the first register
};

void add_part(const Thread& thread, const Part& part, RootCollector& roots) {
  const Bytes area(thread.xsave);
  for (uint64_t r = 0; r < part.registers; ++r) {
    for (uint64_t at = 0; at < part.bytes; at += 8) {
      const auto value = read_at<uint64_t>(area, part.offset + r * part.bytes + at);
      if (!value || *value == 0) continue;
      roots.add(RootWord{RootKind::VectorRegister, *value, thread.tid,
                         part.prefix + std::to_string(part.first + r), false});
    }
  }
}

}  // namespace

void add_registers(const Thread& thread, RootCollector& roots) {
  if (thread.has_registers) {
    for (const Register r : kGeneral) {
      if (thread.reg(r) == 0) continue;
      roots.add(RootWord{RootKind::Register, thread.reg(r), thread.tid, name_of(r), false});
    }
  }
  if (thread.xsave.size() < kLegacySize) return;
  // An area without a header is the legacy part alone.
  const uint64_t present = read_at<uint64_t>(Bytes(thread.xsave), kXstateBv).value_or(kSse);
  const Avx512Layout& avx512 = thread.xsave.size() <= kLargestWithoutMpx ? kWithoutMpx : kWithMpx;
  const Part parts[] = {
      {kSse, kXmm, 16, 16, "xmm", 0},
      {kAvxUpper, kAvx, 16, 16, "ymm", 0},
      {kMasks, avx512.masks, 8, 8, "k", 0},
      {kUpper, avx512.upper, 16, 32, "zmm", 0},
      {kFurther, avx512.further, 16, 64, "zmm", 16},
  };
  for (const Part& part : parts) {
    if ((present & part.feature) != 0) add_part(thread, part, roots);
  }
}

}  // namespace heapscan
