// A fake program whose blocks already have their verdicts: what describe() is tested with.
#pragma once

#include <string_view>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/report.h"
#include "support/fake_program.h"

namespace heapscan {

class JudgedProgram {
 public:
  // A block of `size` (rounded up as by glibc) that begins with `content`.
  Addr reachable(uint64_t size, std::string_view content = {});
  Addr definite(uint64_t size, std::string_view content = {});
  Addr indirect(uint64_t size, Addr head);
  Addr possible(uint64_t size, Reason reason = Reason::Interior);
  Addr free_block(uint64_t size) { return program_.block(size, BlockState::Binned); }
  Addr mapping(uint64_t size, Verdict verdict);

  FakeProgram& program() { return program_; }
  // May be called once.
  [[nodiscard]] Analysis judge();

 private:
  struct Judgement {
    Addr block;
    Verdict verdict;
    Addr head;
    Reason reason = Reason::Interior;
  };
  Addr add(Addr block, Verdict verdict, std::string_view content);
  static void enter(const Judgement& judgement, const HeapModel& heap, Reachability& reach);
  FakeProgram program_;
  std::vector<Judgement> judgements_;
};

// Of pid 4711, called "fake", stopped for 38 ms.
[[nodiscard]] CaptureFacts live_facts();

}  // namespace heapscan
