module tailcut.example/small

go 1.19
