// What every page contains, whatever it shows: made at build time out of page.css, the scripts beside it and
// d3-hierarchy (embed.cmake).
#pragma once

namespace heapscan {

extern const char* const kPageStyle;
extern const char* const kPageScript;
// "sha256-…": of exactly these texts.
extern const char* const kPageStyleHash;
extern const char* const kPageScriptHash;

}  // namespace heapscan
