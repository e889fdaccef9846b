#include "../../docs/architecture.md"
