// GLib as a program has it, without debug information: what was lost of it has to be named, by the
// type system's own memory, as many times as it was lost.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/symbols/symbols.h"
#include "support/child_process.h"
#include "support/fixture_process.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

// Calls GLib and forgets what it returns; keeps the hundredth part, so that live ones are there,
// too. Python's integers are no pointers.
constexpr const char* kLosesGlibObjects = R"(
import ctypes, sys
try:
    gio = ctypes.CDLL('libgio-2.0.so.0')
except OSError as error:
    print('cannot', error, flush=True)
    sys.exit()
kept = (ctypes.c_void_p * 1000)()
def lose(count, make):
    for i in range(count):
        made = make()
        if i % 100 == 0:
            kept[sum(1 for k in kept if k)] = made
def call(name, *arguments):
    function = getattr(gio, name)
    function.restype = ctypes.c_void_p
    return function(*arguments)
def pointers():
    array = ctypes.c_void_p(call('g_ptr_array_new'))
    for i in range(5):
        gio.g_ptr_array_add(array, ctypes.c_void_p(i))
    return array.value
def numbers():
    array = ctypes.c_void_p(call('g_array_new', 0, 0, 4))
    gio.g_array_append_vals(array, b'12345678', 2)
    return array.value
def nodes():
    head = ctypes.c_void_p(call('g_list_append', None, ctypes.c_void_p(1)))
    gio.g_list_append(head, ctypes.c_void_p(2))
    return head.value
lose(900, lambda: call('g_file_info_new'))
lose(500, lambda: call('g_memory_output_stream_new_resizable'))
lose(400, lambda: call('g_credentials_new'))
lose(300, lambda: call('g_hash_table_new', None, None))
lose(200, lambda: call('g_string_new', b'a string of GLib'))
lose(200, lambda: call('g_error_new_literal', gio.g_io_error_quark(), 1, b'nothing there'))
lose(200, pointers)
lose(200, numbers)
lose(200, nodes)
print('ready', flush=True)
sys.stdin.readline()
)";

const std::map<std::string, uint64_t> kLost = {
    {"GFileInfo", 891}, {"GMemoryOutputStream", 495}, {"GCredentials", 396}, {"GHashTable", 297},
    {"GString", 198},   {"GPtrArray", 198},           {"GArray", 198},       {"GList", 396},
    {"GError", 198}};
// Registers, stacks and freed memory may still hold a pointer to a few, of a list to all its nodes.
constexpr uint64_t kStillNamed = 4;
constexpr uint64_t kNodesOfAList = 2;

Analysis analyze_glib(Capture capture) {
  const DebugInfo debug_info = open_debug_info(capture.image, capture.files);
  Symbols symbols = load_symbols(capture.image, capture.files, debug_info);
  return analyze(std::move(capture.image), std::move(symbols), debug_info);
}

// Lost blocks by label.
std::map<std::string, uint64_t> lost_by_label(const Analysis& analysis) {
  std::map<std::string, uint64_t> counts;
  analysis.clusters.members.for_each([&](BlockId block, ClusterId cluster) {
    const Verdict verdict = analysis.reach.verdict(block);
    if (verdict == Verdict::Definite || verdict == Verdict::Indirect)
      ++counts[analysis.identities.rows[cluster].label];
  });
  return counts;
}

void expect_named(const Analysis& analysis, const std::string& title) {
  SCOPED_TRACE(title);
  std::map<std::string, uint64_t> lost = lost_by_label(analysis);
  for (const auto& [label, count] : kLost) {
    EXPECT_LE(lost[label], count) << label;
    EXPECT_GE(lost[label] + kStillNamed * (label == "GList" ? kNodesOfAList : 1), count) << label;
  }
}

TEST(GlibObjects, AreNamedWithoutDebugInformation) {
  if (const auto reason = why_no_gcore()) GTEST_SKIP() << *reason;
  if (!find_program("python3")) GTEST_SKIP() << "python3 is not in PATH";
  ChildProcess::Options options;
  // Before 2.76 small blocks are malloc's only then.
  options.environment = {"G_SLICE=always-malloc", "LC_ALL=C.UTF-8", "DEBUGINFOD_URLS="};
  ChildProcess python({"python3", "-c", kLosesGlibObjects}, options);
  const std::string said = python.read_line();
  if (said != "ready") GTEST_SKIP() << said;
  python.await_reading(0);
  expect_named(analyze_glib(capture_process(python.pid())), "live");
  const TempFolder cores;
  expect_named(analyze_glib(load_core(make_gcore(python.pid(), cores).path)), "core");
}

}  // namespace
}  // namespace heapscan
