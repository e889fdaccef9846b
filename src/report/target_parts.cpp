#include "report/target_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ostream>
#include <string_view>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kNotesShown = 5;

std::string pause_text(double seconds) {
  if (seconds < 0.01) return fmt::format("{:.1f} ms", seconds * 1000);
  return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1000) : fmt::format("{:.1f} s", seconds);
}

// `text` without the numbers that are no addresses: a damaged size may be what somebody wrote over
// it.
std::string without_values(std::string_view text, const MemoryImage& image) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (size_t at = text.find("0x"); at != std::string_view::npos; at = text.find("0x")) {
    const size_t end = std::min(text.find_first_not_of(kDigits, at + 2), text.size());
    uint64_t value = 0;
    std::from_chars(text.data() + at + 2, text.data() + end, value, 16);
    const bool is_address = image.region_at(Addr(value)) != nullptr;
    out += text.substr(0, is_address ? end : at + 2);
    if (!is_address) out += "...";
    text.remove_prefix(end);
  }
  return out += text;
}

}  // namespace

Notes escaped_notes(Notes notes, const MemoryImage& image, bool content) {
  for (Note& note : notes) {
    if (!content && note.kind == NoteKind::HeapDamage) note.text = without_values(note.text, image);
    note.where = escaped(note.where);
    note.text = escaped(note.text);
  }
  return notes;
}

CaptureFacts escaped_facts(CaptureFacts facts) {
  facts.command = escaped(facts.command);
  facts.executable = escaped(facts.executable);
  facts.source = escaped(facts.source);
  return facts;
}

std::string headline(const CaptureFacts& target, size_t threads) {
  std::string line = target.kind == CaptureFacts::Kind::Core ? "heapscan: core " : "heapscan: ";
  line += target.source;
  if (!target.command.empty()) line += fmt::format(" ({})", target.command);
  if (target.kind == CaptureFacts::Kind::Core && target.pid != 0)
    line += fmt::format(", pid {}", target.pid);
  line += ", " + counted(threads, "thread");
  if (target.pause_seconds) line += ", stopped for " + pause_text(*target.pause_seconds);
  if (target.signal)
    line += fmt::format(", killed by signal {} ({})", *target.signal, strsignal(*target.signal));
  return line;
}

void write_notes(const Notes& notes, std::ostream& out) {
  if (notes.empty()) return;
  out << fmt::format("{:<11} {}\n", "notes", notes.size());
  for (size_t i = 0; i < std::min(notes.size(), kNotesShown); ++i) {
    const Note& note = notes[i];
    out << fmt::format("  {}{}{}: {}\n", name_of(note.kind), note.where.empty() ? "" : " ",
                       note.where, note.text);
  }
}

Json json_of_target(const CaptureFacts& target, size_t threads) {
  return {{"kind", target.kind == CaptureFacts::Kind::Live ? "live" : "core"},
          {"pid", target.pid == 0 ? Json(nullptr) : Json(target.pid)},
          {"command", target.command},
          {"executable", target.executable},
          {"threads", threads},
          {"captured_at", target.captured_at},
          {"pause_seconds", or_null(target.pause_seconds)}};
}

Json json_of(const Note& note) {
  return {{"kind", name_of(note.kind)}, {"where", note.where}, {"text", note.text}};
}

}  // namespace heapscan
