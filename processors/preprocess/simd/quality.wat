;; Sums of luma, of its Laplacian and of saturation over a grid of single pixels, and how many of them have each shade: what
;; measureQuality in quality.ts sums, four samples at a time. Luma is in whole thousandths of a level. Works on the memory of
;; resample.wat. Samples that a last group of four has too many are masked away: they are black. Sums are f64: squares of
;; thousandths add up beyond 32 bits, and stay exact.

(module
  ;; From RGB pixels to a grid of luma in i32. $stride, $step: bytes from one sampled row, and from one sampled pixel, to the next.
  ;; $masks: one v128 for each group of a row, 0xffffff or 0 a sample. $sums: receives three f64x2, sums of luma, of its
  ;; squares and of saturation. $shades: 256 v128 of zeros, which receive how many samples have that luma, rounded; a count for
  ;; each of the four, since neighbours are often alike, and one that waits for the other's count costs more than all else here.
  (func (export "samples")
    (param $source i32) (param $stride i32) (param $step i32)
    (param $masks i32) (param $groups i32) (param $rows i32) (param $grid i32) (param $sums i32) (param $shades i32)
    (local $at i32) (local $mask i32) (local $end i32) (local $bin i32)
    (local $pixels v128) (local $redGreen v128) (local $blue v128) (local $redGreenWeights v128) (local $blueWeights v128)
    (local $green v128) (local $most v128) (local $byte v128) (local $one v128) (local $bins v128) (local $zero v128)
    (local $value v128) (local $half v128) (local $sum v128) (local $squares v128) (local $saturation v128) (local $rowSum v128) (local $rowSaturation v128)
    v128.const 0 255 1 255 4 255 5 255 8 255 9 255 12 255 13 255  local.set $redGreen
    v128.const 2 255 255 255 6 255 255 255 10 255 255 255 14 255 255 255  local.set $blue
    ;; 299 and 587, 114 and 0, as i16.
    v128.const 43 1 75 2 43 1 75 2 43 1 75 2 43 1 75 2  local.set $redGreenWeights
    v128.const 114 0 0 0 114 0 0 0 114 0 0 0 114 0 0 0  local.set $blueWeights
    i32.const 255  i32x4.splat  local.set $byte
    i32.const 1  i32x4.splat  local.set $one
    loop $row
      local.get $source  local.set $at
      local.get $zero  local.tee $rowSum  local.set $rowSaturation
      local.get $masks  local.tee $mask
      local.get $groups  i32.const 16  i32.mul  i32.add  local.set $end
      loop $group
        local.get $at  v128.load32_splat  local.set $pixels
        local.get $at  local.get $step  i32.add  local.tee $at  local.get $pixels  v128.load32_lane 1  local.set $pixels
        local.get $at  local.get $step  i32.add  local.tee $at  local.get $pixels  v128.load32_lane 2  local.set $pixels
        local.get $at  local.get $step  i32.add  local.tee $at  local.get $pixels  v128.load32_lane 3
        local.get $mask  v128.load  v128.and  local.set $pixels
        local.get $at  local.get $step  i32.add  local.set $at

        local.get $grid
        local.get $pixels  local.get $redGreen  i8x16.swizzle  local.get $redGreenWeights  i32x4.dot_i16x8_s
        local.get $pixels  local.get $blue  i8x16.swizzle  local.get $blueWeights  i32x4.dot_i16x8_s
        i32x4.add  local.tee $value  v128.store
        local.get $grid  i32.const 16  i32.add  local.set $grid
        local.get $value  local.get $rowSum  i32x4.add  local.set $rowSum
        local.get $value  f64x2.convert_low_i32x4_s  local.tee $half  local.get $half  f64x2.mul  local.get $squares  f64x2.add  local.set $squares
        local.get $value  local.get $value  i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15
        f64x2.convert_low_i32x4_s  local.tee $half  local.get $half  f64x2.mul  local.get $squares  f64x2.add  local.set $squares

        ;; (most - least) / most of red, green and blue, which meet in the lowest byte of each sample; 0 where all are 0.
        local.get $pixels  i32.const 8  i32x4.shr_u  local.set $green
        local.get $pixels  local.get $green  i8x16.max_u
        local.get $pixels  i32.const 16  i32x4.shr_u  i8x16.max_u  local.get $byte  v128.and  local.tee $most
        local.get $pixels  local.get $green  i8x16.min_u
        local.get $pixels  i32.const 16  i32x4.shr_u  i8x16.min_u  local.get $byte  v128.and
        i32x4.sub  f32x4.convert_i32x4_s
        local.get $most  local.get $one  i8x16.max_u  f32x4.convert_i32x4_s
        f32x4.div  local.get $rowSaturation  f32x4.add  local.set $rowSaturation

        ;; (luma + 500) / 1000 in f32: its error is far below the thousandth that lies between two results.
        local.get $value  i32.const 500  i32x4.splat  i32x4.add  f32x4.convert_i32x4_s
        v128.const 111 18 131 58 111 18 131 58 111 18 131 58 111 18 131 58  f32x4.mul  i32x4.trunc_sat_f32x4_s
        i32.const 4  i32x4.shl  local.get $shades  i32x4.splat  i32x4.add  local.tee $bins
        i32x4.extract_lane 0  local.tee $bin  local.get $bin  i32.load  i32.const 1  i32.add  i32.store
        local.get $bins  i32x4.extract_lane 1  local.tee $bin  local.get $bin  i32.load offset=4  i32.const 1  i32.add  i32.store offset=4
        local.get $bins  i32x4.extract_lane 2  local.tee $bin  local.get $bin  i32.load offset=8  i32.const 1  i32.add  i32.store offset=8
        local.get $bins  i32x4.extract_lane 3  local.tee $bin  local.get $bin  i32.load offset=12  i32.const 1  i32.add  i32.store offset=12

        local.get $mask  i32.const 16  i32.add  local.tee $mask
        local.get $end  i32.lt_u  br_if $group
      end
      ;; At most 64 groups: neither 24 bits of f32 nor 32 of i32 are too few.
      local.get $sum
      local.get $rowSum  f64x2.convert_low_i32x4_s  f64x2.add
      local.get $rowSum  local.get $rowSum  i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15  f64x2.convert_low_i32x4_s  f64x2.add  local.set $sum
      local.get $saturation
      local.get $rowSaturation  f64x2.promote_low_f32x4  f64x2.add
      local.get $rowSaturation  local.get $rowSaturation  i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15  f64x2.promote_low_f32x4  f64x2.add  local.set $saturation
      local.get $source  local.get $stride  i32.add  local.set $source
      local.get $rows  i32.const 1  i32.sub  local.tee $rows  br_if $row
    end
    local.get $sums  local.get $sum  v128.store
    local.get $sums  local.get $squares  v128.store offset=16
    local.get $sums  local.get $saturation  v128.store offset=32)

  ;; Over samples that have four neighbours. $grid: the first of them; $stride: bytes of a row of the grid; $masks, $groups,
  ;; $rows: of what has neighbours, and a mask here is all ones or 0. $sums: receives two f64x2, the sum and that of squares.
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
