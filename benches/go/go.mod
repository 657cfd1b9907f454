module tailcut.example/pool

go 1.18
