"""The engine: the only package that imports faust, aiokafka and rocksdict."""
