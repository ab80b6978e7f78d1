module tulle.test/node-init

go 1.21
