/* What sys.monitoring costs by itself: a native callback that does nothing, for every event kind.
 *
 *     cc -O2 -shared -fPIC -I INCLUDE empty.c -o empty.so
 */
#define Py_LIMITED_API 0x030c0000
#include <Python.h>

static PyObject *callback(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"callback", (PyCFunction)(void (*)(void))callback, METH_FASTCALL, "Returns None."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "empty", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_empty(void) { return PyModule_Create(&module); }
