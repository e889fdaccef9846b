// Writes the pages that the test with a browser opens, with what would do harm in them, and one of 10,000 groups.
//
// make_html_pages FOLDER
#include <cstdio>
#include <fstream>
#include <string>

#include "unit/report/page_samples.h"

using namespace heapscan;

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_html_pages FOLDER\n", stderr);
    return 2;
  }
  const auto write = [folder = std::string(argv[1])](const char* name, const auto&... page) {
    std::ofstream out(folder + "/" + name);
    render_html(page..., out);
    return out.good();
  };
  constexpr size_t kManyGroups = 10'000;
  const PageParts parts = hostile_parts();
  const bool written = write("look.html", hostile_report(), parts) &&
                       write("holds.html", *parts.holds) &&
                       write("changes.html", hostile_changes()) &&
                       write("watch.html", hostile_watch()) && write("why.html", hostile_why()) &&
                       write("many.html", report_of_groups(kManyGroups), PageParts());
  return written ? 0 : 1;
}
