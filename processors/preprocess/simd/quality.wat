;; Sums of luma and of its Laplacian over a grid of single pixels, in whole thousandths of a level: what measureQuality in
;; quality.ts sums, four samples at a time. Works on the memory of resample.wat. Samples that a last group of four has
;; too many are masked away. Sums are f64: squares of thousandths add up beyond 32 bits, and stay exact.

(module
  ;; From RGB pixels to a grid of i32. $stride, $step: bytes from one sampled row, and from one sampled pixel, to the next.
  ;; $masks: one v128 for each group of a row. $sums: receives two f64x2, sums and sums of squares.
  (func (export "luma")
    (param $source i32) (param $stride i32) (param $step i32)
    (param $masks i32) (param $groups i32) (param $rows i32) (param $grid i32) (param $sums i32)
    (local $at i32) (local $mask i32) (local $end i32)
    (local $pixels v128) (local $redGreen v128) (local $blue v128) (local $redGreenWeights v128) (local $blueWeights v128)
    (local $value v128) (local $half v128) (local $sum v128) (local $squares v128)
    v128.const 0 255 1 255 4 255 5 255 8 255 9 255 12 255 13 255  local.set $redGreen
    v128.const 2 255 255 255 6 255 255 255 10 255 255 255 14 255 255 255  local.set $blue
    ;; 299 and 587, 114 and 0, as i16.
    v128.const 43 1 75 2 43 1 75 2 43 1 75 2 43 1 75 2  local.set $redGreenWeights
    v128.const 114 0 0 0 114 0 0 0 114 0 0 0 114 0 0 0  local.set $blueWeights
    loop $row
      local.get $source  local.set $at
      local.get $masks  local.tee $mask
      local.get $groups  i32.const 16  i32.mul  i32.add  local.set $end
      loop $group
        local.get $at  v128.load32_splat  local.set $pixels
        local.get $at  local.get $step  i32.add  local.tee $at  local.get $pixels  v128.load32_lane 1  local.set $pixels
        local.get $at  local.get $step  i32.add  local.tee $at  local.get $pixels  v128.load32_lane 2  local.set $pixels
        local.get $at  local.get $step  i32.add  local.tee $at  local.get $pixels  v128.load32_lane 3  local.set $pixels
        local.get $at  local.get $step  i32.add  local.set $at
        local.get $grid
        local.get $pixels  local.get $redGreen  i8x16.swizzle  local.get $redGreenWeights  i32x4.dot_i16x8_s
        local.get $pixels  local.get $blue  i8x16.swizzle  local.get $blueWeights  i32x4.dot_i16x8_s
        i32x4.add  local.get $mask  v128.load  v128.and  local.tee $value  v128.store
        local.get $grid  i32.const 16  i32.add  local.set $grid
        local.get $value  f64x2.convert_low_i32x4_s  local.tee $half  local.get $sum  f64x2.add  local.set $sum
        local.get $half  local.get $half  f64x2.mul  local.get $squares  f64x2.add  local.set $squares
        local.get $value  local.get $value  i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15
        f64x2.convert_low_i32x4_s  local.tee $half  local.get $sum  f64x2.add  local.set $sum
        local.get $half  local.get $half  f64x2.mul  local.get $squares  f64x2.add  local.set $squares
        local.get $mask  i32.const 16  i32.add  local.tee $mask
        local.get $end  i32.lt_u  br_if $group
      end
      local.get $source  local.get $stride  i32.add  local.set $source
      local.get $rows  i32.const 1  i32.sub  local.tee $rows  br_if $row
    end
    local.get $sums  local.get $sum  v128.store
    local.get $sums  local.get $squares  v128.store offset=16)

  ;; Over samples that have four neighbours. $grid: the first of them; $stride: bytes of a row of the grid; $masks, $groups,
  ;; $rows: of what has neighbours. $sums: as above.
  (func (export "laplacian")
    (param $grid i32) (param $stride i32) (param $masks i32) (param $groups i32) (param $rows i32) (param $sums i32)
    (local $at i32) (local $mask i32) (local $end i32)
    (local $value v128) (local $half v128) (local $sum v128) (local $squares v128)
    loop $row
      local.get $grid  local.set $at
      local.get $masks  local.tee $mask
      local.get $groups  i32.const 16  i32.mul  i32.add  local.set $end
      loop $group
        local.get $at  i32.const 4  i32.sub  v128.load
        local.get $at  v128.load offset=4  i32x4.add
        local.get $at  local.get $stride  i32.sub  v128.load  i32x4.add
        local.get $at  local.get $stride  i32.add  v128.load  i32x4.add
        local.get $at  v128.load  i32.const 2  i32x4.shl  i32x4.sub
        local.get $mask  v128.load  v128.and  local.set $value
        local.get $value  f64x2.convert_low_i32x4_s  local.tee $half  local.get $sum  f64x2.add  local.set $sum
        local.get $half  local.get $half  f64x2.mul  local.get $squares  f64x2.add  local.set $squares
        local.get $value  local.get $value  i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15
        f64x2.convert_low_i32x4_s  local.tee $half  local.get $sum  f64x2.add  local.set $sum
        local.get $half  local.get $half  f64x2.mul  local.get $squares  f64x2.add  local.set $squares
        local.get $at  i32.const 16  i32.add  local.set $at
        local.get $mask  i32.const 16  i32.add  local.tee $mask
        local.get $end  i32.lt_u  br_if $group
      end
      local.get $grid  local.get $stride  i32.add  local.set $grid
      local.get $rows  i32.const 1  i32.sub  local.tee $rows  br_if $row
    end
    local.get $sums  local.get $sum  v128.store
    local.get $sums  local.get $squares  v128.store offset=16))
