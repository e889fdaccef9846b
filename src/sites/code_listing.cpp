#include "heapscan/sites/code_listing.h"

#include <algorithm>

#include "sites/basic_blocks.h"
#include "sites/instructions.h"

namespace heapscan {

namespace {

constexpr uint64_t kLongestInstruction = 15;  // bytes
constexpr uint64_t kMostInFront = 64 << 10;   // bytes of the function that are decoded

Addr begin_of_listing(const CallSite& site) {
  const bool is_near = !site.function.is_null() && site.function <= site.call &&
                       site.call - site.function <= kMostInFront;
  return is_near ? site.function : site.call;
}

// What is saved of `range`, from its begin on.
Bytes code_in(const MemoryImage& image, AddrRange range) {
  const Region* const region = image.region_at(range.begin());
  if (region == nullptr || region->bytes == nullptr) return {};
  return image.view(range.intersect(region->range)).value_or(Bytes());
}

}  // namespace

std::vector<ListedInstruction> list_code_around(const MemoryImage& image, const CallSite& site,
                                                size_t before, size_t after) {
  const Addr begin = begin_of_listing(site);
  const Bytes code = code_in(image, {begin, site.call + (after + 1) * kLongestInstruction});
  const std::vector<Instruction> instructions = decode(code, begin);
  const auto call = std::find_if(instructions.begin(), instructions.end(),
                                 [&](const Instruction& insn) { return insn.at == site.call; });
  if (call == instructions.end()) return {};
  const auto in_front = static_cast<size_t>(call - instructions.begin());
  const auto behind = static_cast<size_t>(instructions.end() - call) - 1;
  std::vector<ListedInstruction> listed;
  for (auto insn = call - static_cast<std::ptrdiff_t>(std::min(before, in_front));
       insn != call + 1 + static_cast<std::ptrdiff_t>(std::min(after, behind)); ++insn) {
    std::string text = spelled_instruction(code.subspan(insn->at - begin), insn->at);
    if (text.empty()) text = "(no instruction)";
    if (text.ends_with(' ')) text.pop_back();
    listed.push_back({insn->at, std::move(text), direct_target(*insn).value_or(Addr())});
  }
  return listed;
}

}  // namespace heapscan
