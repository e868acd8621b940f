// PostgreSQL's parser as libpg_query packages it: text to a parse tree of C structs.

#ifndef STELE_CPGQUERY_H
#define STELE_CPGQUERY_H

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#endif
