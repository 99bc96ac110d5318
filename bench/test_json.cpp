// Boost.JSON's own code, once in this test program.
#include <boost/json/src.hpp>
