module holdfast/bench/generator

go 1.26.0
