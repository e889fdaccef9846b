// Manual pages in roff, for man(1).
#pragma once

#include <ostream>
#include <string>

#include "cli/command_tree.h"

namespace heapscan {

// heapscan(1): the program, with a line on each of its commands.
void write_man_page(const CLI::App& program, std::ostream& out);

// heapscan-attach(1) and so on.
void write_man_page_of_command(const CLI::App& program, const CLI::App& command, std::ostream& out);

}  // namespace heapscan
