// Everything is in the system's library; a target needs a source file.

#include "CPgQuery.h"
