// Boost.JSON is compiled into the program here, and nowhere else.
#include <boost/json/src.hpp>
