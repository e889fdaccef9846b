# Makes page_assets.cpp: the style and the script of every page as strings, with the hashes that the page's policy
# names, of the very text that goes into it.
#
# cmake -D OUTPUT=FILE -D STYLE=FILE -D LIBRARY=FILE -D LICENCE=FILE -D SCRIPTS=FILE;FILE... -P embed.cmake

cmake_minimum_required(VERSION 3.25)

# SHA-256 as a policy writes it: base64, three hexadecimal digits to two letters.
function(hash_for_policy text result)
  string(SHA256 digits "${text}")
  string(APPEND digits "00")
  set(letters "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  set(base64 "")
  foreach(at RANGE 0 63 3)
    string(SUBSTRING "${digits}" ${at} 3 three)
    math(EXPR first "0x${three} >> 6")
    math(EXPR second "0x${three} & 63")
    string(SUBSTRING "${letters}" ${first} 1 letter)
    string(APPEND base64 "${letter}")
    string(SUBSTRING "${letters}" ${second} 1 letter)
    string(APPEND base64 "${letter}")
  endforeach()
  string(SUBSTRING "${base64}" 0 43 base64)  # what the two zeros made
  set(${result} "sha256-${base64}=" PARENT_SCOPE)
endfunction()

# What would end the element or the string literal that it is put into.
function(check_text text)
  foreach(end IN ITEMS "</" "<!--" ")page\"" "\r")
    string(FIND "${text}" "${end}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "embed.cmake: a script or a style contains ${end}")
    endif()
  endforeach()
endfunction()

file(READ "${STYLE}" style)
file(READ "${LICENCE}" licence)
file(READ "${LIBRARY}" library)
string(REPLACE "*/" "* /" licence "${licence}")  # which would end the comment
set(script "/*\n${licence}*/\n${library}")
foreach(file IN LISTS SCRIPTS)
  file(READ "${file}" part)
  string(APPEND script "\n${part}")
endforeach()
check_text("${style}")
check_text("${script}")
hash_for_policy("${style}" style_hash)
hash_for_policy("${script}" script_hash)

file(WRITE "${OUTPUT}.new" "// Made by src/report/html/embed.cmake.
#include \"report/html/page_assets.h\"

namespace heapscan {

const char* const kPageStyle = R\"page(${style})page\";
const char* const kPageScript = R\"page(${script})page\";
const char* const kPageStyleHash = \"${style_hash}\";
const char* const kPageScriptHash = \"${script_hash}\";

}  // namespace heapscan
")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
