// PostgreSQL's parser as libpg_query packages it: text to a parse tree of C structs.
//
// The library comes without a file for pkg-config, so what is missing is said here.

#ifndef STELE_CPGQUERY_H
#define STELE_CPGQUERY_H

#if !__has_include(<pg_query.h>)
#error "libpg_query is missing; on Debian and Ubuntu: apt-get install libpg-query-dev"
#elif !__has_include(<protobuf-c/protobuf-c.h>)
#error "protobuf-c is missing; on Debian and Ubuntu: apt-get install libprotobuf-c-dev"
#endif

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#endif
