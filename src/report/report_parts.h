// Parts that several reports have, in words and as JSON.
#pragma once

#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/base/note.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"
#include "heapscan/report/answer.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/place.h"
#include "heapscan/report/report.h"
#include "heapscan/report/trace.h"
#include "heapscan/triage/retained_tree.h"
#include "report/text_parts.h"

namespace heapscan {

// ---- parts of the JSON report that need more than a line ----------------------------------------

using Json = nlohmann::ordered_json;

inline constexpr double kMinute = 60;  // seconds, for what grows per minute

// In one line, ASCII only.
[[nodiscard]] inline std::string dumped(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

[[nodiscard]] inline Json or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

template <typename T>
[[nodiscard]] Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

[[nodiscard]] inline Json json_of(const VerdictTotal& total) {
  return {{"blocks", total.blocks}, {"bytes", total.bytes}};
}
[[nodiscard]] inline Json json_of(const StateTotal& total) {
  return {{"blocks", total.blocks}, {"bytes", total.bytes}};
}

[[nodiscard]] Json json_of_addresses(const std::vector<Addr>& addresses);
[[nodiscard]] Json json_of_sizes(const std::vector<std::pair<uint64_t, uint64_t>>& sizes);
[[nodiscard]] Json json_of_identity(const std::vector<IdentityRow>& rows);
[[nodiscard]] Json json_of_site(const SiteRow& site);
[[nodiscard]] Json json_of_group(const LeakGroup& group);
[[nodiscard]] Json json_of_map_row(const MapRow& row);
[[nodiscard]] Json json_of_cluster(const ClusterMap& map);
[[nodiscard]] Json json_of(const Place& place);

[[nodiscard]] std::vector<std::string> all_strings(const LeakGroup& group);

// ---- what build servers are told ----------------------------------------------------------------

// "1.3 MiB in 5,000 blocks of struct session leaked; new since the baseline".
[[nodiscard]] std::string sentence_on(const LeakGroup& group);
// Whether the exit code is 1 for it.
[[nodiscard]] bool counts_as_failure(const Report& report, const LeakGroup& group);
// Fills in report.gate, if the options ask for it, and marks the groups of the report.
void judge_gate(const Analysis& analysis, Report& report);

// ---- what every report says of its target -------------------------------------------------------

// The facts as they may be shown on a terminal.
[[nodiscard]] CaptureFacts escaped_facts(CaptureFacts facts);

// Notes likewise; without content, none that may quote memory does.
[[nodiscard]] Notes escaped_notes(Notes notes, const MemoryImage& image, bool content);

// "heapscan: pid 4711 (nginx), 9 threads, stopped for 38 ms": the first line of a text. The facts
// are escaped.
[[nodiscard]] std::string headline(const CaptureFacts& target, size_t threads);

// "heap-damage 0x7f…: sentence", of an escaped note.
[[nodiscard]] std::string note_text(const Note& note);

// One line each, the first few or all of them; nothing when there are none. `command` shows all with
// -v.
void write_notes(const Notes& notes, bool all, const std::string& command, std::ostream& out);

using PhaseTimes = std::vector<std::pair<std::string, double>>;  // phase, seconds
// Nothing when there are none.
void write_timing(const PhaseTimes& timing, std::ostream& out);

[[nodiscard]] Json json_of_target(const CaptureFacts& target, size_t threads);
[[nodiscard]] Json json_of(const Note& note);
[[nodiscard]] Json json_of(const Notes& notes);
[[nodiscard]] Json json_of_timing(const PhaseTimes& timing);

// "root", "blocks": what a row of a tree of retained memory is.
[[nodiscard]] const char* name_of_kind(RetainedNode::Kind kind);

// ---- what answers to questions share ------------------------------------------------------------

// The first line of an answer in text, and what stands below it.
void write_head(const AnswerFrame& frame, const Style& style, std::ostream& out);
void write_foot(const AnswerFrame& frame, std::ostream& out);

// An answer as JSON: the schema's name, the target, what `body` says, notes and timing.
void write_document(const char* schema, const AnswerFrame& frame, const Json& body,
                    std::ostream& out);

// ---- what reports of changes share: `diff` and `watch` ------------------------------------------

// "+1.2 MiB".
[[nodiscard]] std::string signed_bytes(int64_t bytes);
// "4.2 s", "90 s", "12 min 5 s", "3 h 20 min", "6 d 4 h".
[[nodiscard]] std::string duration_text(double seconds);

// Draws how the bytes of a group went from look to look; empty: nothing is drawn.
using DrawHistory = std::function<std::string(const std::vector<uint64_t>&)>;

// Everything below a text's first line.
void write_changes(const ChangeReport& report, const Style& style, std::ostream& out,
                   const DrawHistory& draw = {});

// What heapscan.diff/1 has beside its schema and the two looks.
[[nodiscard]] Json json_of_changes(const ChangeReport& report);

// ---- what malloc keeps, in words and as JSON ----------------------------------------------------

// Nothing when it is not much, unless `verbose`.
void write_kept_free(const KeptFree& kept, bool verbose, std::ostream& out);

// "12.0 MiB free, none of it at the end, …; 11.9 MiB lies below 0x…, 56 B, struct listener".
[[nodiscard]] std::string spelled(const ArenaRow& arena);

[[nodiscard]] Json json_of(const ArenaRow& arena);
[[nodiscard]] Json json_of(const KeptFree& kept);

// ---- stacks -------------------------------------------------------------------------------------

// "session_new+0x14 (sessions.c:38)".
[[nodiscard]] std::string frame_text(const TraceCall& call, const TraceFrame& frame);

// Of the functions of a stack, outermost first, as lines for flame graphs have them: without a
// semicolon, and with a word for what called the outermost, where that is not known.
[[nodiscard]] std::vector<std::string> names_of_frames(const TraceReport& report,
                                                       const TraceRow& row);

// ---- threads that nobody joined, in words and as JSON -------------------------------------------

// Nothing when there are none; the first few functions, or all of them.
void write_ended_threads(const std::vector<EndedThreadsRow>& rows, bool all, std::ostream& out);

// "2.4 GiB of stacks (1.2 MiB resident)".
[[nodiscard]] std::string spelled_stacks(const EndedThreadsRow& row);

[[nodiscard]] Json json_of(const std::vector<EndedThreadsRow>& rows);

}  // namespace heapscan
